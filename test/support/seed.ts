import fc from 'fast-check'

// The same cases in every run, so that a red test is red for everybody; FC_SEED=<n> tries others.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20_260_101) })
