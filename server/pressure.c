/* SPDX-License-Identifier: MIT */
/* pressure.c: the ladder of memory pressure. Called by loop.c once a second.
 *
 * Where the kernel keeps stall information, that is what counts: a group that runs against its
 * limit while it reads files only gives up their cache, and nobody waits for it. Elsewhere running
 * against the limit is all there is to go by.
 */
#include "pressure.h"

static bool is_pressed(const struct pressure *pressure, const struct cgroup_pressure *now,
                       int64_t elapsed_ms)
{
    const struct cgroup_pressure *last = &pressure->last;
    if (now->kills > last->kills)
        return true;
    if (!now->has_stalls)
        return now->hits > last->hits;
    if (now->stalls_us < last->stalls_us)
        return false;
    uint64_t stalled_ms = (now->stalls_us - last->stalls_us) / 1000;
    return elapsed_ms > 0 && stalled_ms * 100 >= (uint64_t)elapsed_ms * PRESSURE_STALL_SHARE;
}

unsigned pressure_look(struct pressure *pressure, const struct cgroup_pressure *now, int64_t now_ms)
{
    if (pressure->has_last) {
        if (now->stalls_us > pressure->last.stalls_us)
            pressure->stalls_us += now->stalls_us - pressure->last.stalls_us;
        if (is_pressed(pressure, now, now_ms - pressure->last_ms)) {
            pressure->rises += pressure->level < PRESSURE_LEVEL_MAX;
            pressure->level += pressure->level < PRESSURE_LEVEL_MAX;
            pressure->changed_ms = now_ms;
        } else if (pressure->level > 0 &&
                   now_ms - pressure->changed_ms >= (int64_t)PRESSURE_QUIET_MS) {
            pressure->level--;
            pressure->changed_ms = now_ms;
        }
    }
    pressure->last = *now;
    pressure->last_ms = now_ms;
    pressure->has_last = true;
    return pressure->level;
}

unsigned pressure_lowers(unsigned level)
{
    return level > 1 ? (level - 1) * PRESSURE_STEP_PERCENT : 0;
}
