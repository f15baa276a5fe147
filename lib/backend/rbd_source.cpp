// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_source.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/backend/attempts.h"
#include "lib/backend/rbd.h"
#include "lib/backend/rbd_label.h"
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

// librbd does not lock an image without this feature.
Result<void> check_lockable(RbdConnection& connection) {
  std::uint64_t features = 0;
  const int asked = connection.library().rbd_get_features(connection.image(), &features);
  if (asked < 0) {
    return Error{-asked, fmt::format("{}: the features of the image cannot be read: {}",
                                     connection.name(), std::strerror(-asked))};
  }
  if ((features & RBD_FEATURE_EXCLUSIVE_LOCK) == 0) {
    return Error{EINVAL, fmt::format("{} has no exclusive lock, which lock=standby needs: switch "
                                     "the feature on (rbd feature enable <image> exclusive-lock)",
                                     connection.name())};
  }
  return {};
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
                 .encrypted = config.encryption != RbdEncryption::none,
                 .address = {},
                 .has_log = order.has_log,
                 .label = {}};
  RbdConnection& connection = *image.connection;
  const Result<RbdTraits> traits = probe(connection);
  if (!traits) {
    return traits.error();
  }
  image.traits = traits.value();
  if (Result<void> size = check_size(connection, image.traits.size, order.size); !size) {
    return size.error();
  }
  if (config.lock == RbdLock::standby) {
    if (Result<void> lockable = check_lockable(connection); !lockable) {
      return lockable.error();
    }
  }
  if (connection.is_snapshot()) {
    return image;
  }
  Result<std::optional<Label>> label = read_label(connection, order.has_log);
  if (label && config.lock == RbdLock::exclusive) {
    Result<std::string> ours = take_ownership(connection, RbdOwnership::Manner::spares, {});
    if (!ours) {
      return ours.error();
    }
    image.address = std::move(ours).value();
    label = read_label(connection, order.has_log);  // the owner before may have written it
  }
  if (!label) {
    return label.error();
  }
  image.label = std::move(label).value();
  return image;
}

using ImageAttempts = Attempts<RbdImage>;

ImageAttempts::Outcome attempt(const StoreOrder& order, const ImageAttempts::Unwanted&) {
  Result<RbdImage> image = open_image(order);
  const bool waits = !image && (order.at_start || image.error().errno_value == ETIMEDOUT);
  return {.result = std::move(image), .waits = waits};
}

// Tries for as long as it takes: the LUN is known.
class RbdSessions final : public SessionSource {
 public:
  RbdSessions(StoreOrder order, const OpenContext& context, const Bytes& lun_size)
      : executor_{context.executor}, order_{std::move(order)}, lun_size_{lun_size} {
    order_.at_start = true;
  }
  Words words() const override {
    return {.store = "image",
            .server = "the cluster",
            .closed = "there is no connection to the cluster yet; the log says why"};
  }
  std::size_t most_old() const override { return 4; }
  void begin() override {
    attempts_ =
        std::make_unique<ImageAttempts>(ImageAttempts::plan_for(order_, "ballast/rbd", attempt));
  }
  StoreSource::State state() override { return attempts_->state(); }
  std::unique_ptr<AccessSession> take() override {
    return std::make_unique<RbdSession>(executor_, attempts_->take(), lun_size_);
  }
  void stop() override { attempts_.reset(); }

 private:
  co::Executor& executor_;
  StoreOrder order_;
  const Bytes& lun_size_;
  std::unique_ptr<ImageAttempts> attempts_;
};

// With lock=standby.
std::unique_ptr<Backend> make_shared(RbdImage image, StoreOrder order, const OpenContext& context) {
  std::string lun = order.lun;
  return make_shared_rbd(std::move(image), std::move(lun), context,
                         [&](const Bytes& lun_size) -> std::unique_ptr<SessionSource> {
                           return std::make_unique<RbdSessions>(std::move(order), context,
                                                                lun_size);
                         });
}

class RbdSource final : public StoreSource {
 public:
  RbdSource(StoreOrder order, const OpenContext& context)
      : context_{context},
        order_{order},
        attempts_{ImageAttempts::plan_for(std::move(order), "ballast/rbd", attempt)} {}

  State wait(Nanoseconds patience) override { return attempts_.wait(patience); }
  State state() override { return attempts_.state(); }
  Error error() override { return attempts_.error(); }
  Store take() override {
    const RbdLock lock = order_.config.rbd.lock;
    RbdImage image = attempts_.take();
    Store store{.label = image.label};
    if (lock == RbdLock::standby) {
      store.backend = make_shared(std::move(image), std::move(order_), context_);
    } else {
      store.backend = make_rbd(std::move(image), lock, context_);
    }
    return store;
  }

 private:
  const OpenContext context_;
  StoreOrder order_;
  ImageAttempts attempts_;
};

}  // namespace

Result<void> check_rbd_store(const StoreOrder& order) {
  const Result<std::unique_ptr<RbdConnection>> opened =
      RbdConnection::open(order.config.rbd, RbdConnection::Purpose::look);
  if (!opened) {
    return opened.error();
  }
  RbdConnection& connection = *opened.value();
  if (const Result<RbdTraits> traits = probe(connection); !traits) {
    return traits.error();
  }
  if (connection.is_snapshot()) {
    return {};
  }
  const Result<std::optional<Label>> label = read_label(connection, order.has_log);
  return label ? Result<void>{} : label.error();
}

std::unique_ptr<StoreSource> open_rbd_store(StoreOrder order, const OpenContext& context) {
  return std::make_unique<RbdSource>(std::move(order), context);
}

}  // namespace ballast::backend
