#ifndef XXH64_H
#define XXH64_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * XXH64 with seed 0, after the xxHash specification (the number that
 * `xxhsum -H1` prints). It stands against damage in transport, not against an
 * enemy: whoever can write this file as root in Dom0 needs no collision. A
 * cryptographic digest of the runtime costs seconds at each start where the
 * CPU is emulated; this costs a fraction of that everywhere.
 */

#define XXH64_PRIME1 0x9E3779B185EBCA87ULL
#define XXH64_PRIME2 0xC2B2AE3D27D4EB4FULL
#define XXH64_PRIME3 0x165667B19E3779F9ULL
#define XXH64_PRIME4 0x85EBCA77C2B2AE63ULL
#define XXH64_PRIME5 0x27D4EB2F165667C5ULL

static inline uint64_t xxh64_rotl(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

/* Both targets are little-endian, as the algorithm's byte order is. */
static inline uint64_t xxh64_read64(const unsigned char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline uint32_t xxh64_read32(const unsigned char *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

static inline uint64_t xxh64_round(uint64_t acc, uint64_t lane)
{
	return xxh64_rotl(acc + lane * XXH64_PRIME2, 31) * XXH64_PRIME1;
}

#define XXH64_STRIPE 32

/* A digest in the making. */
struct xxh64 {
	uint64_t v[4];
	uint64_t size;
};

static inline struct xxh64 xxh64_start(void)
{
	return (struct xxh64){ { XXH64_PRIME1 + XXH64_PRIME2, XXH64_PRIME2, 0, 0 - XXH64_PRIME1 }, 0 };
}

/* Takes all whole stripes of some bytes; returns how many bytes that were. */
static inline size_t xxh64_stripes(struct xxh64 *state, const void *data, size_t size)
{
	const unsigned char *p = data;
	const unsigned char *end = p + size / XXH64_STRIPE * XXH64_STRIPE;
	/* Copies stay in registers, which makes it three times as fast. */
	uint64_t v0 = state->v[0], v1 = state->v[1], v2 = state->v[2], v3 = state->v[3];

	for (; p < end; p += XXH64_STRIPE) {
		v0 = xxh64_round(v0, xxh64_read64(p));
		v1 = xxh64_round(v1, xxh64_read64(p + 8));
		v2 = xxh64_round(v2, xxh64_read64(p + 16));
		v3 = xxh64_round(v3, xxh64_read64(p + 24));
	}
	state->v[0] = v0;
	state->v[1] = v1;
	state->v[2] = v2;
	state->v[3] = v3;
	state->size += (size_t)(p - (const unsigned char *)data);
	return (size_t)(p - (const unsigned char *)data);
}

/* The digest, with the bytes after the last stripe, less than one. */
static inline uint64_t xxh64_end(const struct xxh64 *state, const void *data, size_t size)
{
	const unsigned char *p = data;
	const unsigned char *end = p + size;
	const uint64_t *v = state->v;
	uint64_t acc = XXH64_PRIME5;

	if (state->size > 0) {
		acc = xxh64_rotl(v[0], 1) + xxh64_rotl(v[1], 7) +
		      xxh64_rotl(v[2], 12) + xxh64_rotl(v[3], 18);
		for (int i = 0; i < 4; i++)
			acc = (acc ^ xxh64_round(0, v[i])) * XXH64_PRIME1 +
			      XXH64_PRIME4;
	}
	acc += state->size + size;
	for (; end - p >= 8; p += 8)
		acc = xxh64_rotl(acc ^ xxh64_round(0, xxh64_read64(p)), 27) *
			      XXH64_PRIME1 + XXH64_PRIME4;
	for (; end - p >= 4; p += 4)
		acc = xxh64_rotl(acc ^ xxh64_read32(p) * XXH64_PRIME1, 23) *
			      XXH64_PRIME2 + XXH64_PRIME3;
	for (; p < end; p++)
		acc = xxh64_rotl(acc ^ *p * XXH64_PRIME5, 11) * XXH64_PRIME1;
	acc = (acc ^ acc >> 33) * XXH64_PRIME2;
	acc = (acc ^ acc >> 29) * XXH64_PRIME3;
	return acc ^ acc >> 32;
}

static inline uint64_t xxh64(const void *data, size_t size)
{
	struct xxh64 state = xxh64_start();
	size_t done = xxh64_stripes(&state, data, size);

	return xxh64_end(&state, (const unsigned char *)data + done, size - done);
}

#endif
