/* Whether the rows of a batch have different keys. */
#include "copy.h"

#define MOST_PROBES 64 /* beyond, keys were made to collide */

int
keys_start(Keys *keys, size_t rows)
{
    for (keys->places = 8; keys->places < 2 * rows; keys->places *= 2)
        ;
    keys->differ = 1;
    keys->hashes = PyMem_RawCalloc(keys->places, sizeof *keys->hashes);
    return keys->hashes ? 0 : -1;
}

/* FNV-1a. Source: https://datatracker.ietf.org/doc/html/rfc9923 */
uint64_t
hash_more(uint64_t hash, const uint8_t *at, size_t size)
{
    for (const uint8_t *end = at + size; at < end; at++)
        hash = (hash ^ *at) * UINT64_C(0x100000001b3);
    return hash;
}

void
keys_add(Keys *keys, uint64_t hash)
{
    size_t at = (size_t)(hash ^ hash >> 32);
    hash += hash == 0;
    for (int probe = 0; keys->differ && probe < MOST_PROBES; probe++, at++) {
        uint64_t *place = &keys->hashes[at & (keys->places - 1)];
        if (*place == hash)
            break;
        if (*place == 0) {
            *place = hash;
            return;
        }
    }
    keys->differ = 0;
}
