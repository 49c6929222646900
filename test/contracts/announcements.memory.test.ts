import { MemoryAnnouncements } from '../../infra/memory/announcements.ts'
import { MemoryAnnouncer } from '../../infra/memory/announcer.ts'
import { MemoryBus } from '../../infra/memory/bus.ts'
import { announcementsContract } from './announcements.contract.ts'

const bus = new MemoryBus()
const harness = { announcer: new MemoryAnnouncer(bus), announcements: new MemoryAnnouncements(bus) }

announcementsContract(() => harness)
