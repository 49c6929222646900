import { readFileSync } from 'node:fs'

const { compilerOptions } = JSON.parse(
  readFileSync(new URL('./tsconfig.json', import.meta.url), 'utf8'),
)

const shared = {
  rootDir: import.meta.dirname,
  injectGlobals: false,
  setupFiles: ['<rootDir>/test/support/seed.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.weir/', '<rootDir>/.cache/'],
  testEnvironment: '<rootDir>/test/support/leak-environment.ts',
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: compilerOptions.target,
          parser: { syntax: 'typescript', decorators: true },
          transform: {
            legacyDecorator: true,
            // Read from tsconfig.json: tests must see the same classes as the build.
            decoratorMetadata: compilerOptions.emitDecoratorMetadata === true,
            verbatimModuleSyntax: true,
          },
          keepClassNames: true,
        },
      },
    ],
  },
}

// Killing every engine takes minutes on a machine of its own: npm run test:cluster-faults.
const areClusterKillsTested = process.env.WEIR_FAULTS === 'cluster'

// Two projects, so that a run of unit tests alone does not start a database.
export default {
  maxWorkers: 2,
  // What modules of a test file leave behind is never collected with ES modules in Jest: after a
  // hundred files a worker spends most of its time looking for memory. Then another one goes on.
  workerIdleMemoryLimit: '500MB',
  testSequencer: '<rootDir>/test/support/sequencer.mjs',
  testTimeout: 60_000,
  watchman: false,
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/unit/**/*.test.ts', '<rootDir>/test/*.test.ts'],
    },
    {
      ...shared,
      displayName: 'system',
      testMatch: ['<rootDir>/test/*/**/*.test.ts'],
      testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/(unit|cluster)/'],
      globalSetup: '<rootDir>/test/support/global-setup.ts',
      globalTeardown: '<rootDir>/test/support/global-teardown.ts',
    },
    {
      ...shared,
      // The end-to-end suite once more, on EventStoreDB, Kafka and S3; but for what only looks at
      // files that weir serves.
      displayName: 'cluster',
      globals: { isClusterTested: true },
      testMatch: ['<rootDir>/test/{e2e,cluster}/*.test.ts'],
      testPathIgnorePatterns: [
        ...['/node_modules/', '/test/e2e/(web|openapi)\\.test\\.ts$'],
        ...(areClusterKillsTested ? [] : ['/test/cluster/kill\\.test\\.ts$']),
      ],
      globalSetup: '<rootDir>/test/support/global-setup.ts',
      globalTeardown: '<rootDir>/test/support/global-teardown.ts',
    },
  ],
}
