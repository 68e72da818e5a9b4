/* SPDX-License-Identifier: MIT */
/* scenario.h: what a run does, read from a text of phases. README.md documents the format. */
#ifndef EBB_TIDE_SCENARIO_H
#define EBB_TIDE_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../values.h"

#define SCENARIO_PHASES_MAX 64
#define SCENARIO_NAME_MAX   32
#define SCENARIO_VALUE_MAX  (1u << 24) /* bytes, exclusive: the model has 24 bits for a length */
#define SCENARIO_WEIGHTS    256        /* lines of a file of weights */

/* A distribution of sizes in bytes. */
enum mix_kind { MIX_NONE, MIX_FIXED, MIX_UNIFORM, MIX_LOGNORMAL, MIX_WEIGHTS };

struct mix {
    enum mix_kind kind;
    struct sizes range;   /* of fixed and uniform */
    double median, sigma; /* of lognormal */
    struct weight {
        uint32_t bytes;
        double up_to; /* the weights of this and all before it, over all */
    } * weights;      /* the scenario's */
    size_t weight_count;
};

uint32_t mix_pick(const struct mix *mix, struct prng *prng);

enum phase_kind {
    PHASE_FILL,
    PHASE_DELETE,
    PHASE_CHURN,
    PHASE_OSCILLATE,
    PHASE_EXPIRE,
    PHASE_IDLE,
    PHASE_RESIZE,
    PHASE_KIND_COUNT
};

enum phase_order { ORDER_RANDOM, ORDER_OLDEST };

/* Zero is "not given" for every number. */
struct phase {
    enum phase_kind kind;
    char name[SCENARIO_NAME_MAX];
    struct mix value;
    uint64_t live_bytes, written_bytes, low_bytes; /* scaled */
    uint64_t items;                                /* scaled */
    uint64_t every;                                /* keep each n-th */
    double share;                                  /* 0 .. 1 */
    double writes;                                 /* 0 .. 1 of churn's operations */
    double zipf;                                   /* exponent, below 1; 0 is uniform */
    double seconds, period, settle;
    double ttl_least, ttl_most; /* seconds */
    double rate;                /* operations per second */
    enum phase_order order;
};

struct scenario {
    char title[120];
    struct sizes key_lengths;
    bool is_evicting;
    struct phase phases[SCENARIO_PHASES_MAX];
    size_t count;
};

/* Sizes and counts are multiplied by `scale`. 0, or -1 with "line:column: what" in `error`. */
int scenario_parse(struct scenario *scenario, const char *text, double scale, char error[],
                   size_t error_size);
/* Makes its times, but for those to settle, so many times as long; no TTL gets below a second. */
void scenario_stretch(struct scenario *scenario, double factor);
void scenario_release(struct scenario *scenario);
const char *phase_kind_name(enum phase_kind kind);

#endif
