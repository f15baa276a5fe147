// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/pr_ownership.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/base/assert.h"

namespace ballast::backend {
namespace {

constexpr PrKey mark = 0xba11;

bool is_ours(PrKey key) {
  return key >> 48 == mark;
}

}  // namespace

PrKey make_pr_key(std::uint16_t group, std::uint32_t random) {
  return mark << 48 | PrKey{group} << 32 | (random & ~std::uint32_t{3});
}

bool is_given_back(PrKey key) {
  return is_ours(key) && given_back(key) == key;
}

bool is_proven(PrKey key) {
  return !is_ours(key) || (key & 1) != 0;
}

std::uint16_t group_of(PrKey key) {
  return static_cast<std::uint16_t>(is_ours(key) ? key >> 32 & 0xffff : 0);
}

std::string to_string(PrKey key) {
  return fmt::format("{:#018x}", key);
}

void PrOwnership::refuse(int errno_value, std::string message) {
  error_ = Error{errno_value, std::move(message)};
  step_ = Step::refused;
}

void PrOwnership::found(const std::optional<PrHolder>& holder) {
  BALLAST_ASSERT(step_ == Step::look);
  const bool is_us = enrolled_ && holder.has_value() && holder->key == key_;
  if (!is_us) {
    is_quiet_ = !holder.has_value() || is_given_back(holder->key);
    other_ = holder.has_value() ? holder->key : 0;
  }
  if (!enrolled_) {
    step_ = Step::enroll;
  } else if (!is_us) {
    step_ = holder.has_value() ? Step::rob : Step::reserve;
  } else if (holder->type == PrHolder::registrants_only) {
    step_ = is_quiet_ ? Step::prove : Step::reset;
  } else {
    refuse(EBUSY,
           fmt::format("{}: this machine holds a reservation of type {} on it, which is none of "
                       "Ballast's: release it (sg_persist --out --release)",
                       device_, holder->type));
  }
}

void PrOwnership::did(int result) {
  switch (step_) {
    case Step::enroll:
      if (result == 0) {
        enrolled_ = true;
        step_ = Step::look;
      } else {
        refuse(-result, fmt::format("{}: no key can be registered for persistent reservations: {}",
                                    device_, std::strerror(-result)));
      }
      return;
    case Step::reserve:
    case Step::rob:
      did_move(result);
      return;
    case Step::reset:
      if (result == 0) {
        step_ = Step::prove;
      } else {
        refuse(-result,
               fmt::format("{}: it is reserved for this machine, but nobody knows whether the last "
                           "writes of an earlier owner have ended; so the logical unit must be "
                           "reset (sg_reset -d), which failed: {}; activate another gateway",
                           device_, std::strerror(-result)));
      }
      return;
    case Step::prove:
      if (result == 0) {
        step_ = Step::owner;
      } else {
        refuse(-result,
               fmt::format("{}: it was ours, but the key could not be changed: {}", device_,
                           result == -EBADE ? "another machine has taken the device"
                                            : std::strerror(-result)));
      }
      return;
    case Step::look:
      refuse(-result, fmt::format("{}: its reservation cannot be read: {}", device_,
                                  std::strerror(-result)));
      return;
    case Step::owner:
    case Step::refused:
      break;
  }
  BALLAST_ASSERT(false);
}

void PrOwnership::did_move(int result) {
  const bool robbed = step_ == Step::rob;
  if (result == 0) {
    step_ = robbed && !is_proven(other_) ? Step::reset : Step::prove;
    return;
  }
  // Another machine was faster; or the answer did not come, and the device may be ours.
  if ((robbed || result == -EBADE) && ++rounds_ < most_rounds) {
    step_ = Step::look;
    return;
  }
  refuse(-result,
         result == -EBADE
             ? fmt::format("{}: other machines take it at the same time, or have it reserved by "
                           "RESERVE(6): see sg_persist --in --read-full-status",
                           device_)
             : fmt::format("{}: {}: {}", device_,
                           robbed ? "its owner could not be robbed of its reservation"
                                  : "it cannot be reserved",
                           std::strerror(-result)));
}

const char* to_string(PrOwnership::Step step) noexcept {
  switch (step) {
    case PrOwnership::Step::look:
      return "reads who holds the reservation";
    case PrOwnership::Step::enroll:
      return "registers its key";
    case PrOwnership::Step::reserve:
      return "reserves the device";
    case PrOwnership::Step::rob:
      return "robs the owner, and waits until the device has ended the owner's commands";
    case PrOwnership::Step::reset:
      return "resets the logical unit";
    case PrOwnership::Step::prove:
      return "changes its key";
    case PrOwnership::Step::owner:
      return "owns the device";
    case PrOwnership::Step::refused:
      return "has given up";
  }
  return "unknown";
}

}  // namespace ballast::backend
