// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "lib/base/log.h"
#include "lib/co/sleep.h"

namespace ballast::backend {
namespace {

using namespace std::chrono_literals;

// Pauses between two attempts.
constexpr Nanoseconds shortest_pause = 10ms;
constexpr Nanoseconds longest_pause = 1s;
// How soon keep() looks whether the errand has connected: at first, and at last.
constexpr Nanoseconds first_look = 1ms;
constexpr Nanoseconds last_look = 50ms;

template <class... Args>
Error less(fmt::format_string<Args...> format, Args&&... args) {
  return Error{EINVAL, fmt::format(format, std::forward<Args>(args)...)};
}

}  // namespace

Result<void> check_offer(const NbdOffer& promised, const NbdOffer& offered, Bytes logical_block) {
  if (offered.size < promised.size) {
    return Error{EFBIG,
                 fmt::format("it has {} bytes, and the LUN needs {}: enlarge it on the server",
                             offered.size.value(), promised.size.value())};
  }
  if (logical_block.value() % offered.minimum.value() != 0) {
    return less(
        "the server takes whole blocks of {} bytes only, and the LUN's block size is {}: create "
        "the "
        "backstore with another hw_block_size, or make the server take smaller blocks (nbdkit: "
        "--filter=blocksize minblock=512)",
        offered.minimum.value(), logical_block.value());
  }
  if (offered.maximum < logical_block) {
    return less("the server takes requests of {} bytes at most, less than a block of the LUN",
                offered.maximum.value());
  }
  if (offered.read_only && !promised.read_only) {
    return less("it is read-only now, and was not when the LUN was opened");
  }
  const auto lacks = [](bool then, bool now) { return then && !now; };
  if (lacks(promised.flush, offered.flush) || lacks(promised.fua, offered.fua) ||
      lacks(promised.trim, offered.trim) || lacks(promised.zero, offered.zero) ||
      lacks(promised.multi_conn, offered.multi_conn)) {
    return less(
        "the server offers less than when the LUN was opened (flush, FUA, trim, zeroing or "
        "several connections): start it as it was, or create the backstore anew");
  }
  return {};
}

NbdLink::NbdLink(co::Executor& executor, io::Uring& uring, Setup setup, const NbdOffer& promised,
                 NbdPeer first, Listener& listener)
    : executor_{executor},
      uring_{uring},
      setup_{std::make_shared<const Setup>(std::move(setup))},
      promised_{promised},
      listener_{listener},
      connection_{std::make_unique<NbdConnection>(executor, uring, std::move(first))},
      logged_{connection_->offer().size},
      stopping_{executor, "the connection to be closed"} {}

co::Task<void> NbdLink::keep() {
  Nanoseconds pause{};
  for (;;) {
    const TimePoint since = executor_.now();
    co_await connection_->serve();
    const bool lost = !connection_->why().empty();
    if (lost && !stopping_.is_set()) {
      log(LogLevel::warning,
          "{}: the connection to {} is lost: {}; Ballast connects again and repeats what was under "
          "way",
          setup_->lun, describe(setup_->config), connection_->why());
    }
    const bool flushed = connection_->has_flushed();
    connection_.reset();
    if (flushed) {
      listener_.link_flushed(mark_);
    }
    if (lost) {
      listener_.link_lost();
    }
    if (stopping_.is_set()) {
      co_return;
    }
    const TimePoint ended = executor_.now();
    const bool lived = !lost || ended - since >= longest_pause;
    pause = lived ? Nanoseconds{} : std::clamp(pause * 2, shortest_pause, longest_pause);
    const bool connected = co_await connect_again(pause);
    if (!connected) {
      co_return;
    }
    if (lost) {
      log(LogLevel::info, "{}: connected to {} again after {} ms", setup_->lun,
          describe(setup_->config), (executor_.now() - ended).count() / 1'000'000);
    }
    log_size();
    listener_.link_found();
  }
}

// Returns false if the link is to end.
co::Task<bool> NbdLink::connect_again(Nanoseconds pause) {
  if (pause > Nanoseconds{}) {
    const bool stopping = co_await stopping_.wait_until(executor_.now() + pause);
    if (stopping) {
      co_return false;
    }
  }
  std::unique_ptr<Attempts<NbdPeer>> attempts;
  Nanoseconds look = first_look;
  for (;;) {
    if (attempts == nullptr) {
      try {
        attempts = std::make_unique<Attempts<NbdPeer>>(plan());
      } catch (const std::bad_alloc&) {
        look = last_look;  // the next look tries again
      }
    }
    (void)co_await stopping_.wait_until(executor_.now() + look);
    if (stopping_.is_set()) {  // perhaps after the time was over, and close() saw no connection
      co_return false;
    }
    look = std::min(look * 2, last_look);
    if (attempts == nullptr) {
      continue;
    }
    const StoreSource::State state = attempts->state();
    if (state == StoreSource::State::opened && use(attempts->take())) {
      co_return true;
    }
    if (state == StoreSource::State::opened || state == StoreSource::State::refused) {
      attempts.reset();  // there was no memory or no thread for it
      look = longest_pause;
    }
  }
}

// Says once that the export is too small: a connection may be renewed again and again meanwhile.
void NbdLink::log_size() {
  const Bytes has = connection_->offer().size;
  const bool said = std::exchange(logged_, has) == has;
  if (has < promised_.size && !said) {
    log(LogLevel::error,
        "{}: {} has become smaller: it has {} bytes, and the LUN {}; commands past its end are "
        "answered LBA OUT OF RANGE; enlarge it on the server",
        setup_->lun, describe(setup_->config), has.value(), promised_.size.value());
  }
}

bool NbdLink::use(NbdPeer peer) {
  try {
    connection_ = std::make_unique<NbdConnection>(executor_, uring_, std::move(peer));
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

Attempts<NbdPeer>::Plan NbdLink::plan() const {
  const auto attempt = [setup = setup_, promised = promised_](
                           const std::function<bool()>& unwanted) -> Attempts<NbdPeer>::Outcome {
    NbdAttempt made = connect_nbd(setup->config, unwanted);
    if (!made.peer) {
      return {.result = made.peer.error(), .waits = true};
    }
    const NbdOffer& offer = made.peer.value().offer;
    NbdOffer wanted = promised;
    if (offer.size > Bytes{}) {
      wanted.size = std::min(promised.size, offer.size);
    }
    const Result<void> suits = check_offer(wanted, offer, setup->logical_block);
    if (!suits) {
      return {.result = Error{suits.error().errno_value,
                              fmt::format("cannot use {}: {}", describe(setup->config),
                                          suits.error().message)},
              .waits = true};
    }
    return {.result = std::move(made.peer)};
  };
  const auto complain = [setup = setup_](const Error& why) {
    log(LogLevel::warning, "{}: not connected: {}; Ballast goes on trying", setup->lun,
        why.message);
  };
  return {.errand = "ballast/nbd",
          .attempt = attempt,
          .complain = complain,
          .first_pause = shortest_pause,
          .longest_pause = longest_pause};
}

void NbdLink::close() {
  stopping_.set();
  if (connection_ != nullptr) {
    connection_->close();
  }
}

void NbdLink::renew(std::uint64_t mark) {
  if (connection_ != nullptr && connection_->is_usable()) {
    mark_ = mark;
    connection_->retire();
  }
}

}  // namespace ballast::backend
