// SPDX-License-Identifier: Apache-2.0
// Checks whether the file or device at a path is the one that its LUN had before. If it is another,
// or is missing, the error is a sentence for the operator. The rules are in file_take.h. Any
// thread.
#pragma once

#include <string>

#include "lib/backend/file_take.h"

namespace ballast::backend {

// The store is missing: checks whether it may be created. `size`: the size of the LUN, or 0 if it
// is not known.
Result<void> check_missing(const std::string& path, Bytes size, const Expected& expected);

// Checks whether the open `fd`, whose identity is `now`, is the expected store. Another file that
// holds data is accepted with a warning in the log. Blocks.
Result<void> check_identity(const std::string& path, int fd, const StoreIdentity& now,
                            const Expected& expected);

}  // namespace ballast::backend
