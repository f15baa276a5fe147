// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_links.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "lib/backend/anatomy.h"
#include "lib/co/sleep.h"

namespace ballast::backend {

NbdLinks::NbdLinks(co::Executor& executor, io::Uring& uring, NbdLink::Setup setup,
                   const NbdOffer& promised, std::vector<NbdPeer> peers, Calls calls)
    : executor_{executor},
      server_{describe(setup.config)},
      calls_{std::move(calls)},
      keepers_{executor_},
      usable_{executor_, "a connection to the NBD server"},
      since_{executor_.now()},
      landmark_{executor_, Anatomy::nbd_links, this} {
  NbdLink::Listener& self = *this;
  for (NbdPeer& peer : peers) {
    links_.push_back(
        std::make_unique<NbdLink>(executor_, uring, setup, promised, std::move(peer), self));
  }
  usable_.set();
}

void NbdLinks::start() {
  if (!std::exchange(started_, true)) {
    for (const std::unique_ptr<NbdLink>& link : links_) {
      keepers_.spawn("nbd: connection", link->keep());
    }
  }
}

NbdConnection* NbdLinks::usable() const {
  NbdConnection* best = nullptr;
  for (const std::unique_ptr<NbdLink>& link : links_) {
    NbdConnection* const one = link->usable();
    if (one != nullptr && (best == nullptr || one->under_way() < best->under_way())) {
      best = one;
    }
  }
  return best;
}

co::Event::Waiter NbdLinks::wait(co::CancelToken cancel) {
  if (!closing_) {
    usable_.reset();
  }
  return usable_.wait(cancel);
}

void NbdLinks::link_lost() {
  ++losses_;
  if (usable() == nullptr && !closing_) {
    usable_.reset();
    since_ = std::exchange(connected_, false) ? executor_.now() : since_;
  }
  calls_.lost();
}

void NbdLinks::link_found() {
  since_ = std::exchange(connected_, true) ? since_ : executor_.now();
  usable_.set();
}

std::string NbdLinks::waits_for() const {
  std::size_t requests = 0;
  for (const std::unique_ptr<NbdLink>& link : links_) {
    requests += link->under_way();
  }
  try {
    if (!connected_) {
      return fmt::format("a connection to {}, which was lost {:.1f} s ago", server_,
                         std::chrono::duration<double>(executor_.now() - since_).count());
    }
    if (requests > 0) {
      return fmt::format("{}, which is connected, to answer {} request{}", server_, requests,
                         requests == 1 ? "" : "s");
    }
  } catch (const std::bad_alloc&) {
    // then nobody is told
  }
  return {};
}

void NbdLinks::renew(std::uint64_t mark) {
  for (const std::unique_ptr<NbdLink>& link : links_) {
    link->renew(mark);
  }
}

co::Task<void> NbdLinks::renew_and_wait(std::uint64_t mark, Nanoseconds patience) {
  renew(mark);
  const TimePoint until = executor_.now() + patience;
  while (smallest_export() == Bytes{} && !closing_ && executor_.now() < until) {
    co_await co::sleep_for(executor_, std::chrono::milliseconds{5});
  }
}

Bytes NbdLinks::smallest_export() const {
  Bytes smallest{UINT64_MAX};
  for (const std::unique_ptr<NbdLink>& link : links_) {
    const NbdConnection* const connection = link->usable();
    smallest = std::min(smallest, connection != nullptr ? connection->offer().size : Bytes{});
  }
  return smallest;
}

void NbdLinks::stop_connecting() {
  closing_ = true;
  usable_.set();
  for (const std::unique_ptr<NbdLink>& link : links_) {
    link->stop_connecting();
  }
}

co::Task<void> NbdLinks::close() {
  for (const std::unique_ptr<NbdLink>& link : links_) {
    link->close();
  }
  co_await keepers_.join();
}

}  // namespace ballast::backend
