// SPDX-License-Identifier: Apache-2.0
// PrSession: a shared block device that belongs to the machine that holds its persistent
// reservation (pr_ownership.h), as a session of SharedAccess.
//
// All sessions of a LUN use the same open device, one after the other: a session is not opened
// before the last operation of the one before has ended. Otherwise the writes of a robbed session,
// which hang somewhere in the kernel of this machine, could go out once the machine is registered
// again. The same holds for a process that has died: its last operations keep the device open, so
// that another process cannot open it (O_EXCL, file_take.h).
#pragma once

#include <memory>
#include <string>

#include "lib/backend/access_session.h"

namespace ballast::backend {

// `fd` is open for as long as there is a session. `device` names it in messages.
std::unique_ptr<AccessSession> make_pr_session(co::Executor& executor, int fd, std::string device);
std::unique_ptr<SessionSource> make_pr_sessions(co::Executor& executor, int fd, std::string device);

}  // namespace ballast::backend
