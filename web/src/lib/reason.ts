/** What was thrown, in words; libraries and browsers throw more than Errors. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
