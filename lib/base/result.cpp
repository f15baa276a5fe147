// SPDX-License-Identifier: Apache-2.0
#include "lib/base/result.h"

#include <cerrno>

namespace ballast {

const char* to_string(IoStatus status) noexcept {
  switch (status) {
    case IoStatus::ok:
      return "ok";
    case IoStatus::medium_error:
      return "medium error";
    case IoStatus::no_space:
      return "no space";
    case IoStatus::not_supported:
      return "not supported";
    case IoStatus::out_of_range:
      return "out of range";
    case IoStatus::write_protected:
      return "write protected";
    case IoStatus::no_resource:
      return "no resource";
    case IoStatus::cancelled:
      return "cancelled";
    case IoStatus::not_ready:
      return "not ready";
  }
  return "unknown";
}

IoStatus io_status_from_errno(int errno_value) noexcept {
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

}  // namespace ballast
