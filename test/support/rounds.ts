/** How often a fault suite does everything: once in CI, `WEIR_FAULTS_ROUNDS` times elsewhere. */
export const faultRounds = Math.max(1, Number(process.env['WEIR_FAULTS_ROUNDS'] ?? 1))
