// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/op_status.h"

#include <cerrno>
#include <initializer_list>

namespace ballast::backend {
namespace {

constexpr unsigned bit(IoStatus status) {
  return 1U << static_cast<unsigned>(status);
}

constexpr unsigned set_of(std::initializer_list<IoStatus> statuses) {
  unsigned set = 0;
  for (const IoStatus status : statuses) {
    set |= bit(status);
  }
  return set;
}

// The statuses that every operation may end with, and those that only some may.
constexpr unsigned any = set_of({IoStatus::ok, IoStatus::medium_error, IoStatus::no_resource,
                                 IoStatus::cancelled, IoStatus::not_ready});
constexpr unsigned ranged = bit(IoStatus::out_of_range);
constexpr unsigned changing = set_of({IoStatus::no_space, IoStatus::write_protected});
constexpr unsigned optional = bit(IoStatus::not_supported);

constexpr unsigned legal(OpKind kind) {
  switch (kind) {
    case OpKind::read:
      return any | ranged;
    case OpKind::write:
      return any | ranged | changing;
    case OpKind::zero:
    case OpKind::discard:
    case OpKind::resize:
      return any | ranged | changing | optional;
    case OpKind::flush:
      return any | bit(IoStatus::no_space);
    case OpKind::block_status:
      return any | ranged | optional;
  }
  return any;
}

IoStatus usual_meaning(int errno_value) {
  switch (errno_value) {
    case 0:
      return IoStatus::ok;
    case ENOSPC:
    case EDQUOT:
      return IoStatus::no_space;
    case EOPNOTSUPP:
    case ENOSYS:
    case ENOTTY:
      return IoStatus::not_supported;
    case EFBIG:
      return IoStatus::out_of_range;
    case EROFS:
    case EPERM:
      return IoStatus::write_protected;
    case ENOMEM:
    case EAGAIN:
    case EBUSY:
      return IoStatus::no_resource;
    // Not EINTR: a part may be done then, and `cancelled` promises that nothing is.
    case ECANCELED:
      return IoStatus::cancelled;
    case ESHUTDOWN:
    case ENODEV:
    case ENXIO:
      return IoStatus::not_ready;
    default:
      return IoStatus::medium_error;
  }
}

}  // namespace

bool may_end_with(OpKind kind, IoStatus status) noexcept {
  return (bit(status) & legal(kind)) != 0;
}

IoStatus status_from_errno(OpKind kind, int errno_value) noexcept {
  const IoStatus meaning = usual_meaning(errno_value);
  return may_end_with(kind, meaning) ? meaning : IoStatus::medium_error;
}

}  // namespace ballast::backend
