/** Whether a value from outside is an object with fields, before any of them is looked at. */
export const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
