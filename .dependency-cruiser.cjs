'use strict'

const production = '^(domain|projections|workers|infra|src|client)/'

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'A cycle is one file in several pieces.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-unlisted-package',
      comment: 'What production code imports stands in "dependencies" of package.json.',
      severity: 'error',
      from: { path: production },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'domain-is-pure',
      comment: 'domain/ imports itself and the package immutable; no node:*, no Nest, no I/O.',
      severity: 'error',
      from: { path: '^domain/' },
      to: { pathNot: ['^domain/', '^node_modules/immutable/'] },
    },
    {
      name: 'projections-know-the-domain',
      severity: 'error',
      from: { path: '^projections/' },
      to: {
        pathNot: ['^(domain|projections)/', '^node_modules/immutable/'],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'workers-know-the-domain',
      comment:
        'Loops and the job runner speak to the world through ports. They may know how a page of ' +
        'events becomes rows, for the projector; read models come from the profile.',
      severity: 'error',
      from: { path: '^workers/', pathNot: '^workers/handlers/' },
      to: {
        pathNot: [
          '^(domain|workers)/',
          '^projections/(page|projection)\\.ts$',
          '^node_modules/immutable/',
        ],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'handlers-may-use-packages',
      comment: 'A job handler may use the library that does its job, and never an adapter.',
      severity: 'error',
      from: { path: '^workers/handlers/' },
      to: {
        path: '^[^/]+',
        pathNot: ['^(domain|workers|node_modules)/'],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'infra-knows-ports',
      comment: 'An adapter knows its port and the types that pass through it.',
      severity: 'error',
      from: { path: '^infra/' },
      to: {
        pathNot: ['^(domain|infra|node_modules)/'],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'infra-does-not-decide',
      comment: 'Of the aggregates an adapter may know types only; decisions stay in the domain.',
      severity: 'error',
      from: { path: '^infra/' },
      to: { path: '^domain/(?!ports/)[^/]+/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'profiles-build-adapters',
      comment: 'Only src/profiles imports infra.',
      severity: 'error',
      from: { path: production, pathNot: ['^infra/', '^src/profiles/'] },
      to: { path: '^infra/' },
    },
    {
      name: 'client-stands-alone',
      comment: 'The SDK is published by itself.',
      severity: 'error',
      from: { path: '^client/' },
      to: { path: '^(domain|projections|workers|infra|src|test|bench|examples)/' },
    },
    {
      name: 'examples-use-the-client',
      severity: 'error',
      from: { path: '^examples/' },
      to: { path: '^(domain|projections|workers|infra|src|test|bench)/' },
    },
    {
      name: 'nest-stays-at-the-edge',
      severity: 'error',
      from: { pathNot: '^(src|test|bench)/' },
      to: { path: '^node_modules/@nestjs/' },
    },
    {
      name: 'nobody-imports-the-edge',
      severity: 'error',
      from: { pathNot: '^(src|test|bench)/' },
      to: { path: '^src/' },
    },
    {
      name: 'production-without-tests',
      severity: 'error',
      from: { path: production },
      to: { path: '^(test|bench|examples)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // The peer stack has packages of its own, installed when the benchmark first runs.
    // The page gets the SDK from the server, at /client/.
    exclude: { path: '^((dist|client/dist|\\.weir|\\.cache|bench/peers)/|/client/)' },
    tsConfig: { fileName: 'tsconfig.json' },
    // Types count: an import that is erased still says who knows whom.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.cjs', '.mjs', '.json', '.d.ts'],
    },
  },
}
