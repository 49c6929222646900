import { SystemIds } from '../../infra/system/ids.ts'
import { idsContract } from './ids.contract.ts'

const ids = new SystemIds()

idsContract(() => ids)
