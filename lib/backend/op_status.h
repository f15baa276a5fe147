// SPDX-License-Identifier: Apache-2.0
// How each kind of operation may end, and what an errno value says about it.
//
// One table for `checked`, which asserts it of our own backends; for the rules of `fault`, which
// must keep to it; and for backends that stand on system calls. A kernel, a file system or a FUSE
// daemon may answer anything with any errno: what makes no sense for an operation (a read that is
// told EROFS) is a medium error of it.
#pragma once

#include <cstdint>

#include "lib/base/result.h"

namespace ballast::backend {

enum class OpKind : std::uint8_t { read, write, zero, discard, flush, block_status, resize };

// Whether the contract (backend.h) lets an operation of this kind end so.
bool may_end_with(OpKind kind, IoStatus status) noexcept;

// What an errno value (positive; 0: ok) of a system call means for the operation that made it.
// Total: whatever the value, the operation may end with the result.
IoStatus status_from_errno(OpKind kind, int errno_value) noexcept;

}  // namespace ballast::backend
