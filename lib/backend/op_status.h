// SPDX-License-Identifier: Apache-2.0
// The statuses with which each kind of operation may end, and the status that an errno value means.
//
// Three users share this one table. `checked` asserts it of every backend, `fault` accepts only
// rules that keep to it, and backends that make system calls translate errno values with it. A
// kernel, a file system or a FUSE daemon may answer any call with any errno. An errno that makes no
// sense for an operation (a read that fails with EROFS) becomes medium_error. Pure functions; any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/result.h"

namespace ballast::backend {

enum class OpKind : std::uint8_t { read, write, zero, discard, flush, block_status, resize };
inline constexpr std::size_t op_kinds = 7;

// As fault rules and reports write it.
constexpr const char* to_string(OpKind kind) noexcept {
  switch (kind) {
    case OpKind::read:
      return "read";
    case OpKind::write:
      return "write";
    case OpKind::zero:
      return "zero";
    case OpKind::discard:
      return "discard";
    case OpKind::flush:
      return "flush";
    case OpKind::block_status:
      return "block_status";
    case OpKind::resize:
      return "resize";
  }
  return "unknown";
}

// Whether the contract (backend.h) lets an operation of this kind end with this status.
bool may_end_with(OpKind kind, IoStatus status) noexcept;

// The meaning of a system call's errno value (positive; 0: ok) for the operation that made the
// call. For every value the result is a status with which the operation may end.
IoStatus status_from_errno(OpKind kind, int errno_value) noexcept;

}  // namespace ballast::backend
