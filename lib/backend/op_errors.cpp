// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/op_errors.h"

namespace ballast::backend {

std::vector<watch::StoreErrors> OpErrors::view() const {
  std::vector<watch::StoreErrors> errors;
  for (std::size_t kind = 0; kind < op_kinds; ++kind) {
    for (std::size_t i = 0; i < io_statuses; ++i) {
      const auto status = static_cast<IoStatus>(i);
      const bool no_error =
          ok(status) || status == IoStatus::cancelled || status == IoStatus::not_supported;
      const Ended& ended = ended_[kind][i];
      if (ended.count > 0 && !no_error) {
        errors.push_back(
            {to_string(static_cast<OpKind>(kind)), to_string(status), ended.count, ended.last});
      }
    }
  }
  return errors;
}

}  // namespace ballast::backend
