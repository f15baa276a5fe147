// SPDX-License-Identifier: Apache-2.0
// The backend of a LUN on an image in Ceph.
//
// Reads, writes, zeros and flushes are librbd's asynchronous calls. librbd ends them on threads of
// its own, and these post to the executor. Nothing else runs there: no coroutine, and no call that
// could wait for librbd's threads. Resizing and block status have no asynchronous form, and go to
// the helper thread, as closing does.
//
// Bounds. librbd is asked for any number of operations; the volume bounds them. A range is zeroed
// in pieces, because librbd sends the operations for all objects of a range at once.
//
// An operation cannot be cancelled. close() waits for the last one, and only then closes the
// connection. So the operations of a LUN that is closed while the cluster hangs keep image and
// connection until they have ended.
//
// Fencing. Once the cluster says that this client is fenced, or that the lock is not ours, every
// operation ends with not_ready. An image with lock=exclusive stays so until it is opened again,
// because commands that are under way may be older than the new owner's. For one with lock=standby
// see shared_access.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lib/backend/factory.h"
#include "lib/backend/rbd_session.h"
#include "lib/backend/shared_access.h"

namespace ballast::backend {

std::unique_ptr<Backend> make_rbd(RbdImage image, RbdLock lock, const OpenContext& context);
// With lock=standby. `sessions` makes the source of further sessions, given where the size of the
// LUN stands, which outlives them.
std::unique_ptr<Backend> make_shared_rbd(
    RbdImage image, std::string lun, const OpenContext& context,
    const std::function<std::unique_ptr<SessionSource>(const Bytes& lun_size)>& sessions);

}  // namespace ballast::backend
