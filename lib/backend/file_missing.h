// SPDX-License-Identifier: Apache-2.0
// Whether what stands at a path, or does not, is what its LUN had before; and the sentence for an
// operator where it is not. The rules are file_take.h's.
#pragma once

#include <string>

#include "lib/backend/file_take.h"

namespace ballast::backend {

// Nothing is there: may it be created? `size`: the LUN's, or 0 where it is not known.
Result<void> check_missing(const std::string& path, Bytes size, const Expected& expected);

// `fd` is open and has `now` as identity. Logs a warning where it takes another.
Result<void> check_identity(const std::string& path, int fd, const StoreIdentity& now,
                            const Expected& expected);

}  // namespace ballast::backend
