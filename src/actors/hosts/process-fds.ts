/**
 * The file descriptors that a worker process is started with.
 *
 * | fd   | what                                                                                     |
 * |------|------------------------------------------------------------------------------------------|
 * | 1, 2 | its stdout and stderr, for the log                                                       |
 * | 3    | batches to the process                                                                   |
 * | 4    | batches from the process. It writes them without its event loop: what it has sent is in  |
 * |      | the kernel, whatever it does next                                                        |
 * | 5    | nothing, ever: it closes with the supervisor (process-watchdog.ts)                       |
 * | 6    | its gauge and its last words (gauge-file.ts)                                             |
 */
export const Fd = { TO_HOST: 3, FROM_HOST: 4, LIFELINE: 5, GAUGE: 6 } as const
