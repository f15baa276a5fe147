// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/pr_session.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

#include "lib/backend/pr_device.h"
#include "lib/backend/pr_ownership.h"
#include "lib/base/log.h"

namespace ballast::backend {
namespace {

// How look() and take() write a holder. Whether a key is proven does not change its owner.
std::string address_of(const PrHolder& holder) {
  const std::string key = to_string(proven(holder.key));
  return holder.type == PrHolder::registrants_only ? key
                                                   : fmt::format("{}, type {}", key, holder.type);
}

class PrSession final : public AccessSession {
 public:
  PrSession(co::Executor& executor, int fd, std::string name)
      : AccessSession{executor, "a shared device's last operation"},
        device_{fd},
        name_{std::move(name)} {}

  Result<OwnerSeen> look() override;
  Result<std::string> take(const TakeOrder& order) override;
  co::Task<void> end() override;

 private:
  void take_step(PrOwnership& ownership);

  PrDevice device_;
  const std::string name_;
  PrKey key_ = 0;  // of the last attempt to take the device, as it is when that succeeded
};

Result<OwnerSeen> PrSession::look() {
  std::optional<PrHolder> holder;
  const int read = device_.read_holder(&holder);
  if (read != 0) {
    return Error{
        -read, fmt::format("{}: its reservation cannot be read: {}", name_, std::strerror(-read))};
  }
  if (!holder.has_value() || is_given_back(holder->key)) {
    return OwnerSeen{};
  }
  return OwnerSeen{.address = address_of(*holder), .group = group_of(holder->key)};
}

Result<std::string> PrSession::take(const TakeOrder& order) {
  std::uint32_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) {
    return Error{errno,
                 fmt::format("{}: no random number for a key: {}", name_, std::strerror(errno))};
  }
  PrOwnership ownership{name_, make_pr_key(order.group, random)};
  for (;;) {
    const PrOwnership::Step step = ownership.step();
    if (order.progress != nullptr) {
      order.progress->store(to_string(step), std::memory_order_relaxed);
    }
    if (step == PrOwnership::Step::refused) {
      return ownership.error();
    }
    if (step == PrOwnership::Step::owner) {
      key_ = proven(ownership.key());
      return address_of(PrHolder{.key = key_});
    }
    if (step == PrOwnership::Step::rob && order.unwanted && order.unwanted()) {
      return Error{ECANCELED,
                   fmt::format("{}: not taken over: nobody waits for it any more", name_)};
    }
    take_step(ownership);
  }
}

void PrSession::take_step(PrOwnership& ownership) {
  const PrKey key = ownership.key();
  switch (ownership.step()) {
    case PrOwnership::Step::look: {
      std::optional<PrHolder> holder;
      const int read = device_.read_holder(&holder);
      if (read == 0) {
        ownership.found(holder);
      } else {
        ownership.did(read);
      }
      return;
    }
    case PrOwnership::Step::enroll:
      ownership.did(device_.register_key(std::nullopt, key));
      return;
    case PrOwnership::Step::reserve:
      ownership.did(device_.reserve(key));
      return;
    case PrOwnership::Step::rob:
      if (!is_given_back(ownership.other())) {
        log(LogLevel::warning,
            "{}: Ballast robs its owner, {}, of the reservation, and takes the device over, as it "
            "was told",
            name_, to_string(ownership.other()));
      }
      ownership.did(device_.preempt_and_abort(key, ownership.other()));
      return;
    case PrOwnership::Step::reset:
      log(LogLevel::warning,
          "{}: nobody knows whether the last writes of an earlier owner have ended, so Ballast "
          "resets "
          "the logical unit",
          name_);
      ownership.did(device_.reset());
      return;
    case PrOwnership::Step::prove:
      ownership.did(device_.register_key(key, proven(key)));
      return;
    case PrOwnership::Step::owner:
    case PrOwnership::Step::refused:
      return;
  }
}

co::Task<void> PrSession::end() {
  running().close();
  co_await running().drain();
  if (lost() || address().empty()) {
    co_return;
  }
  std::function<int()> work = [this] { return device_.register_key(key_, given_back(key_)); };
  const int ended = co_await control().run(std::move(work));
  if (ended < 0 && ended != -EBADE) {
    log(LogLevel::warning,
        "{}: its reservation could not be marked as given back: {}; other gateways take this one "
        "for its owner until they take it over",
        name_, std::strerror(-ended));
  }
}

class PrSessions final : public SessionSource {
 public:
  PrSessions(co::Executor& executor, int fd, std::string device)
      : executor_{executor}, fd_{fd}, device_{std::move(device)} {}
  Words words() const override {
    return {.store = "device",
            .server = "the device",
            .closed = "the last operations of the time before still hang in the device"};
  }
  std::size_t most_old() const override { return 1; }
  void begin() override {}
  StoreSource::State state() override { return StoreSource::State::opened; }
  std::unique_ptr<AccessSession> take() override {
    return make_pr_session(executor_, fd_, device_);
  }
  void stop() override {}

 private:
  co::Executor& executor_;
  const int fd_;
  const std::string device_;
};

}  // namespace

std::unique_ptr<AccessSession> make_pr_session(co::Executor& executor, int fd, std::string device) {
  return std::make_unique<PrSession>(executor, fd, std::move(device));
}

std::unique_ptr<SessionSource> make_pr_sessions(co::Executor& executor, int fd,
                                                std::string device) {
  return std::make_unique<PrSessions>(executor, fd, std::move(device));
}

}  // namespace ballast::backend
