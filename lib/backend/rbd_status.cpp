// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_status.h"

#include <cerrno>

namespace ballast::backend {
namespace {

IoStatus meaning(int errno_value) {
  switch (errno_value) {
    case 0:
      return IoStatus::ok;
    case ENOSPC:
    case EDQUOT:
      return IoStatus::no_space;
    case EINVAL:  // past the end: the image was made smaller by another client
      return IoStatus::out_of_range;
    case EPERM:
    case EACCES:
    case EROFS:
      return IoStatus::write_protected;
    case ENOMEM:
      return IoStatus::no_resource;
    case ENOTCONN:
      return IoStatus::not_ready;
    default:
      return IoStatus::medium_error;
  }
}

}  // namespace

bool says_fenced(RbdLock lock, int result) noexcept {
  return result == -ESHUTDOWN || (result == -EROFS && lock != RbdLock::none);
}

IoStatus rbd_status(OpKind kind, RbdLock lock, int result) noexcept {
  const IoStatus status = says_fenced(lock, result) ? IoStatus::not_ready : meaning(-result);
  return may_end_with(kind, status) ? status : IoStatus::medium_error;
}

}  // namespace ballast::backend
