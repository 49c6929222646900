import eslint from '@eslint/js'
import prettier from 'eslint-config-prettier'
import globals from 'globals'
import tseslint from 'typescript-eslint'

const production = ['domain', 'projections', 'workers', 'infra', 'src', 'client'].map(
  (folder) => `${folder}/**/*.ts`,
)
/** Files that end in the user's terminal. */
const terminal = ['src/main.ts', 'src/cli.ts', 'src/cli/**', 'src/demo.ts', 'src/start/**']

const noDefaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'Export by name: the name then is the same wherever it is used.',
}
const noBarrel = {
  selector: 'ExportAllDeclaration',
  message: 'No barrels: import from the file that defines it.',
}
const noEnum = { selector: 'TSEnumDeclaration', message: 'Use a union of string literals.' }
const noPackageByNeed = {
  selector: 'ImportExpression > Literal[value=/^[^.]/]',
  message: 'Import the package in a file of ours, and load that by need (ADR 18).',
}
const noSystemTime = {
  selector: "NewExpression[callee.name='Date'][arguments.length=0]",
  message: 'Time arrives in the command or comes from the Clock port.',
}

const timers = ['setTimeout', 'setInterval', 'setImmediate']
const impureProperties = [
  ['Date', 'now', 'Use the Clock port.'],
  ['performance', 'now', 'Use the Clock port.'],
  ['Math', 'random', 'Use the Ids port.'],
  ['crypto', 'randomUUID', 'Use the Ids port.'],
  ['crypto', 'getRandomValues', 'Use the Ids port.'],
  ['AbortSignal', 'timeout', 'It reads the system clock: use the Clock port.'],
]
const impureImports = [
  ['node:timers', timers],
  ['node:timers/promises', undefined],
  ['node:crypto', ['randomUUID', 'randomBytes', 'randomInt', 'getRandomValues', 'webcrypto']],
  ['node:perf_hooks', undefined],
]

export default tseslint.config(
  {
    ignores: [
      '**/node_modules/',
      'dist/',
      'client/dist/',
      '.weir/',
      '.cache/',
      'coverage/',
      'admin/dist/',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      'no-restricted-syntax': ['error', noDefaultExport, noBarrel, noEnum, noPackageByNeed],
      'no-console': 'error',
      eqeqeq: 'error',
      curly: ['error', 'multi-line'],
      'max-lines': ['error', 400],
      'max-lines-per-function': ['error', { max: 60, skipComments: true }],
      'max-depth': ['error', 4],
      '@typescript-eslint/max-params': ['error', { max: 4 }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/consistent-type-assertions': ['error', { assertionStyle: 'never' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        // A union lists all its members; what remains goes to `default: unreachable(x)`.
        { considerDefaultExhaustiveForUnions: false, requireDefaultForNonUnion: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      // A port's method is async for the adapters that wait; a memory adapter does not.
      '@typescript-eslint/require-await': 'off',
      // Loops that run until their signal aborts read best as `for (;;)` or `while (true)`.
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
    },
  },
  {
    // Read by applications, with the packages they have.
    files: ['client/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', noDefaultExport, noBarrel, noEnum] },
  },
  {
    files: ['domain/**/*.ts', 'projections/**/*.ts', 'workers/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', noDefaultExport, noBarrel, noEnum, noSystemTime],
      'no-restricted-globals': [
        'error',
        ...timers.map((name) => ({ name, message: 'Use the Clock port.' })),
      ],
      'no-restricted-properties': [
        'error',
        ...impureProperties.map(([object, property, message]) => ({ object, property, message })),
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: impureImports.map(([name, importNames]) => ({
            name,
            ...(importNames ? { importNames } : {}),
            message: 'Time, identity and chance come through domain/ports.',
          })),
        },
      ],
    },
  },
  {
    // Where the outside world enters: rows, packets, parsed JSON.
    files: [
      ...['infra/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts'],
      ...['client/request.ts', 'client/webhook.ts'],
    ],
    rules: { '@typescript-eslint/consistent-type-assertions': ['error', { assertionStyle: 'as' }] },
  },
  {
    files: [...terminal, 'bench/**/*.ts', 'examples/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      'max-lines': ['error', 800],
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
  {
    // Jest takes these by their default export.
    files: ['test/support/global-*.ts', 'test/support/leak-environment.ts'],
    rules: { 'no-restricted-syntax': ['error', noBarrel, noEnum] },
  },
  {
    // Plain JavaScript: configuration, and the one script that runs before anything is built.
    files: ['**/*.js', '**/*.cjs', '**/*.mjs', 'bench/peers/**'],
    ...tseslint.configs.disableTypeChecked,
  },
  {
    files: ['**/*.js', '**/*.cjs', '**/*.mjs'],
    languageOptions: { globals: globals.node },
    rules: { 'no-restricted-syntax': 'off', 'no-console': 'off' },
  },
  {
    files: ['src/public/**/*.js'],
    languageOptions: { globals: globals.browser },
    rules: { 'no-restricted-syntax': ['error', noDefaultExport, noBarrel], 'no-console': 'error' },
  },
  { files: production, rules: { '@typescript-eslint/no-explicit-any': 'error' } },
  prettier,
)
