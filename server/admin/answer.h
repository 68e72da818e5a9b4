/* SPDX-License-Identifier: MIT */
/* answer.h: whole HTTP responses: texts, bodies made for one request, files of the page. Bodies are
 * compressed for clients that accept it, if they are long enough to gain from it.
 */
#ifndef EBB_ANSWER_H
#define EBB_ANSWER_H

#include "assets.h"

#define ANSWER_JSON "application/json; charset=utf-8"

/* A short text. `headers`: whole lines to add, or "". */
void answer_text(const struct ebb_http_request *request, int status, const char *text,
                 const char *headers, struct ebb_buf *out);
/* Sends the body, unless there was no memory for it, and releases it. */
void answer_body(const struct ebb_http_request *request, int status, const char *content_type,
                 const char *headers, struct ebb_buf *body, struct ebb_buf *out);
void answer_asset(const struct ebb_http_request *request, const struct asset *asset,
                  struct ebb_buf *out);

#endif
