/** Set by the global set-up: a folder for what the test files of one run share. */
export const runFolderVariable = 'WEIR_TEST_RUN_FOLDER'

/** The process that ends last of a run: what it shares ends with it. */
export const runPidVariable = 'WEIR_TEST_RUN_PID'
