// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_session.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "lib/backend/rbd_label.h"
#include "lib/backend/rbd_lock.h"
#include "lib/base/assert.h"

namespace ballast::backend {

Result<OwnerSeen> RbdSession::look() {
  Result<ImageOwner> owner = read_owner(*image_.connection);
  if (!owner) {
    return owner.error();
  }
  const std::optional<OwnerRecord>& record = owner.value().record;
  const bool is_record = record.has_value() && record->address == owner.value().address;
  return OwnerSeen{.address = std::move(owner.value().address),
                   .group = is_record ? record->group : std::uint16_t{0}};
}

Result<std::string> RbdSession::take(const TakeOrder& order) {
  RbdConnection& connection = *image_.connection;
  // The owner may have put a log before the image since it was opened here.
  if (const auto label = read_label(connection, image_.has_log); !label) {
    return label.error();
  }
  Result<std::string> address = take_ownership(connection, RbdOwnership::Manner::robs, order);
  if (address) {
    if (const auto label = read_label(connection, image_.has_log); !label) {
      return label.error();
    }
  }
  return address;
}

Result<void> RbdSession::write_label(const std::optional<Label>& label) {
  return backend::write_label(*image_.connection, address(), label);
}

co::Task<void> RbdSession::end() {
  running().close();
  co_await running().drain();
  co_await size_watch_.close();
  std::function<int()> work = [this] {
    if (!lost() && !address().empty()) {
      end_ownership(*image_.connection);
    }
    image_.connection.reset();
    return 0;
  };
  const int ended = co_await control().run(std::move(work));
  BALLAST_ASSERT(ended == 0 || image_.connection != nullptr);
}

}  // namespace ballast::backend
