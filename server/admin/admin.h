/* SPDX-License-Identifier: MIT */
/* admin.h: what people and Prometheus see over HTTP: /metrics, /healthz, /readyz and the pages.
 *
 * Used on the main thread only. net/ owns the sockets and parses the requests; admin only answers.
 */
#ifndef EBB_ADMIN_H
#define EBB_ADMIN_H

#include "../../proto/ebb_buf.h"
#include "../../proto/ebb_proto.h"
#include "../facts.h"
#include "../service.h"

struct admin;

/* 0, or negative when there is no memory. The service must outlive the admin. */
int admin_create(struct admin **admin, struct service *service);
void admin_destroy(struct admin *admin);
/* Writes the whole response to a request, whatever its method and path. */
void admin_respond(struct admin *admin, const struct ebb_http_request *request,
                   struct ebb_buf *out);
/* Takes one sample of the process and the store; called once a second. `is_quiet`: nothing has
 * happened since the last, which then stands for this one, too. */
void admin_sample(struct admin *admin, bool is_quiet);
/* Goes on with what somebody has asked for (POST /api/purge): a bounded piece of it. true: there is
 * more, call again soon. */
bool admin_work(struct admin *admin);
/* What the last sample says; from any thread. */
void admin_facts(struct admin *admin, struct memory_facts *facts);

#endif
