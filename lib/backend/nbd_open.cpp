// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_open.h"

#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "lib/backend/attempts.h"
#include "lib/backend/nbd.h"
#include "lib/backend/nbd_link.h"
#include "lib/base/log.h"

namespace ballast::backend {
namespace {

using namespace std::chrono_literals;
struct Opened {
  std::vector<NbdPeer> peers;
  StoreClaim claim;
};

using Outcome = Attempts<Opened>::Outcome;
using Unwanted = Attempts<Opened>::Unwanted;

// A server that serves one client at a time needs a moment to see that the last one has left.
NbdAttempt connect_in_turn(const NbdConfig& config, const Unwanted& unwanted) {
  constexpr int tries = 10;
  for (int i = 1;; ++i) {
    NbdAttempt made = connect_nbd(config, unwanted);
    if (made.peer || made.definite || config.exclusive == NbdConfig::Exclusive::no || i == tries ||
        made.peer.error().errno_value != ECONNRESET) {
      return made;
    }
    std::this_thread::sleep_for(100ms);
  }
}

// exclusive=server is a promise of the server's operator. If a second client gets in beside the
// first, it is not kept.
Result<void> check_exclusive(const NbdConfig& config, const Unwanted& unwanted) {
  const NbdAttempt second = connect_nbd(config, unwanted, {.connect = 1s, .handshake = 500ms});
  if (!second.peer) {
    return {};
  }
  return Error{
      EINVAL, fmt::format("cannot use {} with exclusive=server: the server lets a second client in "
                          "while the first is connected: start nbdkit with --filter=limit limit=1, "
                          "or qemu-nbd with --shared=1; or remove the key",
                          describe(config))};
}

Result<void> check_fit(const StoreOrder& order, const NbdOffer& offer) {
  NbdOffer wanted;
  wanted.size = order.size;
  wanted.read_only = true;  // a read-only export makes a write-protected LUN
  const Result<void> fits = check_offer(wanted, offer, order.logical_block);
  return fits ? fits
              : Error{fits.error().errno_value,
                      fmt::format("cannot use {}: {}", describe(order.config.nbd),
                                  fits.error().message)};
}

Outcome open_once(const StoreOrder& order, const Unwanted& unwanted) {
  const NbdConfig& config = order.config.nbd;
  if (const Result<void> settings = check_settings(config); !settings) {
    return {.result = settings.error()};
  }
  std::optional<StoreClaim> claim = StoreClaim::make(describe(config));
  if (!claim.has_value()) {
    return {
        .result = Error{EBUSY, fmt::format("{} is in use by another LUN of this daemon, or by one "
                                           "that was closed and whose last operations still run",
                                           describe(config))},
        .waits = true};
  }
  Opened opened;
  opened.claim = std::move(*claim);
  std::uint32_t wanted = config.connections;
  while (opened.peers.size() < wanted) {
    NbdAttempt made = connect_in_turn(config, unwanted);
    if (!made.peer) {
      return {.result = made.peer.error(), .waits = !made.definite};
    }
    const NbdOffer offer = made.peer.value().offer;
    if (const Result<void> fits = check_fit(order, offer); !fits) {
      return {.result = fits.error()};
    }
    opened.peers.push_back(std::move(made.peer).value());
    if (!offer.multi_conn && wanted > 1) {
      log(LogLevel::warning,
          "{}: the server does not say that several connections see the same data (multi-conn), so "
          "Ballast uses one instead of {}",
          order.lun, wanted);
      wanted = 1;
    }
  }
  if (config.exclusive == NbdConfig::Exclusive::server) {
    if (const Result<void> alone = check_exclusive(config, unwanted); !alone) {
      return {.result = alone.error()};
    }
  }
  return {.result = std::move(opened)};
}

Outcome attempt(const StoreOrder& order, const Unwanted& unwanted) {
  Outcome outcome = open_once(order, unwanted);
  outcome.waits |= order.at_start;
  return outcome;
}

class NbdSource final : public StoreSource {
 public:
  NbdSource(StoreOrder order, const OpenContext& context)
      : order_{std::move(order)},
        context_{context},
        attempts_{Attempts<Opened>::plan_for(order_, "ballast/nbd", attempt)} {}

  State wait(Nanoseconds patience) override { return attempts_.wait(patience); }
  State state() override { return attempts_.state(); }
  Error error() override { return attempts_.error(); }
  Store take() override {
    Opened opened = attempts_.take();
    if (opened.peers.front().offer.read_only) {
      log(LogLevel::warning, "{}: {} is read-only, so the LUN is write-protected", order_.lun,
          describe(order_.config.nbd));
    }
    std::shared_ptr<UnheardFlush> unheard_flush = opened.claim.unheard_flush();
    return Store{make_nbd(NbdStore{.lun = order_.lun,
                                   .config = order_.config.nbd,
                                   .size = order_.size,
                                   .logical_block = order_.logical_block,
                                   .peers = std::move(opened.peers),
                                   .claim = std::move(opened.claim)},
                          context_),
                 std::move(unheard_flush)};
  }

 private:
  const StoreOrder order_;
  const OpenContext context_;
  Attempts<Opened> attempts_;
};

}  // namespace

Result<void> check_nbd_store(const StoreOrder& order) {
  const NbdConfig& config = order.config.nbd;
  if (const Result<void> settings = check_settings(config); !settings) {
    return settings;
  }
  const NbdAttempt made = connect_nbd(config, [] { return false; });
  if (!made.peer) {
    return made.peer.error();
  }
  (void)nbd().aio_disconnect(made.peer.value().handle.get(), 0);
  return {};
}

std::unique_ptr<StoreSource> open_nbd_store(StoreOrder order, const OpenContext& context) {
  return std::make_unique<NbdSource>(std::move(order), context);
}

}  // namespace ballast::backend
