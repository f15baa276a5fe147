// SPDX-License-Identifier: Apache-2.0
// Where a path leads, if nobody but root, or the daemon's own user, could have laid the way.
//
// The daemon opens stores as root. If a user may change a symbolic link on the way to one, he could
// have the daemon serve, and an initiator overwrite, any file of this machine. So such a link is
// not followed. What was found is held by a descriptor, so it cannot be exchanged afterwards. The
// calls block, as those of file_take.h.
#pragma once

#include <string>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace ballast::backend {

struct PathEnd {
  UniqueFd folder;   // as O_PATH opens it
  std::string name;  // in the folder
  UniqueFd file;     // as O_PATH opens it; empty: there is none of that name
};

// `path` is absolute. EPERM: somebody else's link is on the way. Other errors: errno of what
// failed.
Result<PathEnd> follow(const std::string& path);

// Opens what follow() has found, with `flags` and O_CLOEXEC. errno says why not.
UniqueFd open_end(const PathEnd& end, int flags);

}  // namespace ballast::backend
