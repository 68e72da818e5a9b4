/* SPDX-License-Identifier: MIT */
/* chart.h: a run as it goes, in a terminal: progress, and resident against live. */
#ifndef EBB_TIDE_CHART_H
#define EBB_TIDE_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CHART_POINTS 512
#define CHART_ROWS   10

/* Its size does not depend on how long a run takes: when the points are used up, each two become
 * one with the higher value, and stand for twice the time. */
struct chart {
    FILE *file;
    bool is_terminal, is_utf8;
    double resident[CHART_POINTS], live[CHART_POINTS]; /* bytes, the highest of each point */
    size_t count;
    double point_seconds;
    double seconds, last_resident, last_live; /* of the newest sample */
    double line_seconds;                      /* when the last plain line was printed */
    char line_phase[64];
    int drawn_rows, drawn_columns; /* what is on the screen, to be drawn over */
};

/* Not a terminal, or a dumb one: plain lines, one for each phase and each ten seconds. */
void chart_init(struct chart *chart, FILE *file, bool is_terminal);
/* Times do not go back. */
void chart_add(struct chart *chart, double seconds, double resident, double live);
/* share_done: 0 to 1. seconds_left: negative if unknown. */
void chart_draw(struct chart *chart, double share_done, double seconds_left, const char *phase);
/* Leaves the last picture where it is and gives the cursor back. May be called at any time, twice
 * too. */
void chart_end(struct chart *chart);

/* The picture alone, each line ended by a newline: blocks are live, the line above them resident.
 */
void chart_compose(const struct chart *chart, int columns, double share_done, double seconds_left,
                   const char *phase, FILE *to);

#endif
