import type { Config } from '../config.ts'
import type { Profile, ProfileWatch } from './profile.ts'

/** Opens the adapters of one process. */
export type OpenProfile = (config: Config, name: string, watch: ProfileWatch) => Profile

/** How the profile of this configuration is opened; the other one's drivers are not loaded. */
export async function profileOpener({ cluster }: Config): Promise<OpenProfile> {
  return cluster
    ? (await import('./cluster.ts')).openCluster
    : (await import('./embedded.ts')).openEmbedded
}
