/**
 * A value as JSON. Addresses are text, hexadecimal with `0x`; bytes are
 * hexadecimal text in memory order; times are ISO 8601, UTC. What only tells
 * one state of an incident from another is left out.
 *
 * @param indent Spaces of an indentation; on one line if left out
 */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, (name, value) => {
    if (name === "key") return undefined;
    if (typeof value === "bigint") return `0x${value.toString(16)}`;
    if (value instanceof Uint8Array) return value.toHex();
    return value;
  }, indent);
}
