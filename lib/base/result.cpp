// SPDX-License-Identifier: Apache-2.0
#include "lib/base/result.h"

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

}  // namespace ballast
