// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_source.h"

#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "lib/backend/attempts.h"
#include "lib/backend/rbd.h"
#include "lib/backend/rbd_lock.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

Result<void> check_size(const RbdConnection& connection, Bytes has, Bytes wants) {
  if (has >= wants) {
    return {};
  }
  return Error{EFBIG, fmt::format("{} has {} but the LUN was created with size={}: create the LUN "
                                  "with size={} or less, or grow the image (rbd resize)",
                                  connection.name(), config::format_bytes(has),
                                  config::format_bytes(wants), has.value())};
}

Result<RbdImage> open_image(const StoreOrder& order) {
  const RbdConfig& config = order.config.rbd;
  Result<std::unique_ptr<RbdConnection>> opened =
      RbdConnection::open(config, RbdConnection::Purpose::use);
  if (!opened) {
    return opened.error();
  }
  RbdImage image{.connection = std::move(opened).value(),
                 .traits = {},
                 .lock = config.lock,
                 .ownership = RbdOwnership{config.image, {}},
                 .encrypted = config.encryption != RbdEncryption::none};
  RbdConnection& connection = *image.connection;
  const Result<RbdTraits> traits = probe(connection);
  if (!traits) {
    return traits.error();
  }
  image.traits = traits.value();
  if (Result<void> size = check_size(connection, image.traits.size, order.size); !size) {
    return size.error();
  }
  if (config.lock == RbdLock::exclusive && !connection.is_snapshot()) {
    Result<RbdOwnership> ours = take_ownership(connection);
    if (!ours) {
      return ours.error();
    }
    image.ownership = std::move(ours).value();
  }
  return image;
}

Attempts<RbdImage>::Outcome attempt(const StoreOrder& order, const Attempts<RbdImage>::Unwanted&) {
  Result<RbdImage> image = open_image(order);
  const bool waits = !image && (order.at_start || image.error().errno_value == ETIMEDOUT);
  return {.result = std::move(image), .waits = waits};
}

class RbdSource final : public StoreSource {
 public:
  RbdSource(StoreOrder order, const OpenContext& context)
      : context_{context},
        attempts_{Attempts<RbdImage>::plan_for(std::move(order), "ballast/rbd", attempt)} {}

  State wait(Nanoseconds patience) override { return attempts_.wait(patience); }
  State state() override { return attempts_.state(); }
  Error error() override { return attempts_.error(); }
  Store take() override { return Store{make_rbd(attempts_.take(), context_), nullptr}; }

 private:
  const OpenContext context_;
  Attempts<RbdImage> attempts_;
};

}  // namespace

Result<void> check_rbd_store(const StoreOrder& order) {
  const Result<std::unique_ptr<RbdConnection>> opened =
      RbdConnection::open(order.config.rbd, RbdConnection::Purpose::look);
  if (!opened) {
    return opened.error();
  }
  const Result<RbdTraits> traits = probe(*opened.value());
  return traits ? Result<void>{} : traits.error();
}

std::unique_ptr<StoreSource> open_rbd_store(StoreOrder order, const OpenContext& context) {
  return std::make_unique<RbdSource>(std::move(order), context);
}

}  // namespace ballast::backend
