import { type TProperties, Type } from 'typebox'

// The few kinds of setting there are. `allowed` is what an error says when a schema of several shapes does not hold.

/** Settings under one name that all have a default, so the group has one too. */
export const group = <P extends TProperties>(description: string, properties: P) =>
  Type.Object(properties, { additionalProperties: false, default: {}, description })

/** Settings under one name that are there or not. */
export const optionalGroup = <P extends TProperties>(description: string, properties: P) =>
  Type.Optional(Type.Object(properties, { additionalProperties: false, description }))

export const integer = (byDefault: number, [minimum, maximum]: [number, number?], description: string) =>
  Type.Integer({ default: byDefault, minimum, ...(maximum !== undefined && { maximum }), description })

export const text = (byDefault: string, description: string) =>
  Type.String({ default: byDefault, minLength: 1, description })

export const optionalText = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))

export const flag = (byDefault: boolean, description: string) => Type.Boolean({ default: byDefault, description })

export const list = (byDefault: string[], description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { default: byDefault, description })

export const oneOf = <const V extends string[]>(values: V, byDefault: V[number], description: string) =>
  Type.Unsafe<V[number]>(Type.Enum(values, { default: byDefault, description }))

/** What Kafka takes as the name of a topic. */
export const topicName = {
  pattern: '^[\\w.-]{1,249}$',
  allowed: 'a topic name: up to 249 letters, digits, dots, - and _'
}

const DURATION = /^([1-9]\d{0,7})(ms|s|m|h|d)$/
const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export const duration = (byDefault: string | undefined, description: string) =>
  Type.String({
    ...(byDefault !== undefined && { default: byDefault }),
    pattern: DURATION.source,
    description: `${description} A duration such as 500ms, 30s, 10m, 12h or 1d.`,
    allowed: 'a duration such as 500ms, 30s, 10m, 12h or 1d'
  })

/** @param text as `duration` admits it. */
export function durationMs(text: string): number {
  const [, count, unit] = DURATION.exec(text) as unknown as [string, string, string]
  return Number(count) * (UNIT_MS[unit] as number)
}
