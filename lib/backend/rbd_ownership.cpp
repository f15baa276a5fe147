// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_ownership.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "lib/base/assert.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

// Takes "<name>=<value> " from the front of `text`.
std::optional<std::string> take(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name) || text.size() == name.size() || text[name.size()] != '=') {
    return std::nullopt;
  }
  text.remove_prefix(name.size() + 1);
  const std::size_t end = text.find(' ');
  std::string value{text.substr(0, end)};
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return value;
}

std::optional<std::uint64_t> number(const std::optional<std::string>& text) {
  std::uint64_t value = 0;
  if (!text.has_value()) {
    return std::nullopt;
  }
  const char* const end = text->data() + text->size();
  const auto [stop, wrong] = std::from_chars(text->data(), end, value);
  return wrong == std::errc{} && stop == end ? std::optional{value} : std::nullopt;
}

}  // namespace

std::string to_string(const OwnerRecord& record) {
  std::string text =
      fmt::format("machine={} boot={} pid_namespace={} pid={} start={} address={}", record.machine,
                  record.boot, record.pid_namespace, record.pid, record.start_time, record.address);
  text += record.group != 0 ? fmt::format(" group={}", record.group) : "";
  return text;
}

std::optional<OwnerRecord> parse_owner_record(std::string_view text) {
  const auto machine = take(text, "machine");
  const auto boot = take(text, "boot");
  const auto pid_namespace = take(text, "pid_namespace");
  const auto pid = number(take(text, "pid"));
  const auto start = number(take(text, "start"));
  const auto address = take(text, "address");
  if (!machine || !boot || !pid_namespace || !pid || !start || !address) {
    return std::nullopt;
  }
  const auto group = number(take(text, "group")).value_or(0);
  return OwnerRecord{*machine,
                     *boot,
                     *pid_namespace,
                     *pid,
                     *start,
                     *address,
                     static_cast<std::uint16_t>(group <= UINT16_MAX ? group : 0)};
}

void RbdOwnership::refuse(int errno_value, std::string message) {
  error_ = Error{errno_value, std::move(message)};
  step_ = Step::refused;
}

void RbdOwnership::refuse_without_feature() {
  refuse(EINVAL, fmt::format("{} has no exclusive lock: switch the feature on (rbd feature enable "
                             "<image> exclusive-lock), or add ;lock=none",
                             image_));
}

void RbdOwnership::owner_is(std::string address) {
  BALLAST_ASSERT(step_ == Step::list);
  other_ = std::move(address);
  lock_is_free_ = other_.empty();
  step_ = Step::look;
}

// Whether nothing of the owner is left that could want its lock back. A record counts only if it is
// the present owner's, and of a process that could be looked up.
bool RbdOwnership::is_dead(const OwnerFacts& facts) const {
  const bool can_tell = facts.record.has_value() && facts.record->address == other_ &&
                        !self_.boot.empty() && facts.record->boot == self_.boot &&
                        facts.record->pid_namespace == self_.pid_namespace;
  return can_tell ? !facts.runs : !facts.watches;
}

std::string RbdOwnership::describe(const OwnerFacts& facts) const {
  if (!facts.record.has_value() || facts.record->address != other_) {
    return fmt::format("the client at {}, which is no LUN of Ballast", config::quote(other_));
  }
  const OwnerRecord& owner = *facts.record;
  if (owner.boot != self_.boot) {
    return fmt::format("a LUN of Ballast on machine {} (process {}, {})",
                       config::quote(owner.machine), owner.pid, config::quote(other_));
  }
  return owner.pid == self_.pid && owner.pid_namespace == self_.pid_namespace
             ? "another LUN of this daemon, or one that was closed while operations were under way"
             : fmt::format("process {} of this machine", owner.pid);
}

void RbdOwnership::found(const OwnerFacts& facts) {
  BALLAST_ASSERT(step_ == Step::look);
  if (lock_is_free_) {
    other_ = facts.record.has_value() ? facts.record->address : "";
    step_ = other_.empty() ? Step::acquire : Step::fence;
    return;
  }
  robs_ = !is_dead(facts);
  if (!robs_ || manner_ == Manner::robs) {
    step_ = Step::fence;
    return;
  }
  refuse(EBUSY, fmt::format("{} is in use by {}: stop it there first (rbd lock ls shows the lock)",
                            image_, describe(facts)));
}

void RbdOwnership::did(int result) {
  switch (step_) {
    case Step::fence:
      if (result == 0) {
        step_ = lock_is_free_ ? Step::acquire : Step::break_;
      } else {
        refuse(-result, fmt::format("{}: its {}, {} cannot be fenced: {}: give the cephx user mon "
                                    "\"profile rbd\" (ceph auth caps)",
                                    image_, robs_ ? "owner" : "last owner",
                                    config::quote(other_) + (robs_ ? "," : ", is gone and"),
                                    std::strerror(-result)));
      }
      return;
    case Step::break_:
      if (result == 0 || result == -ENOENT) {
        step_ = Step::acquire;
      } else {
        refuse(-result, fmt::format("{}: the lock of its owner, {}, cannot be broken: {}", image_,
                                    config::quote(other_), std::strerror(-result)));
      }
      return;
    case Step::acquire:
      did_acquire(result);
      return;
    case Step::record:
      if (result == 0) {
        step_ = Step::owner;
      } else {
        refuse(-result, fmt::format("{}: the owner cannot be written into its metadata: {}", image_,
                                    std::strerror(-result)));
      }
      return;
    case Step::list:
    case Step::look:
      if (result == -EINVAL) {
        refuse_without_feature();
        return;
      }
      refuse(-result, fmt::format("{}: the owner of its lock cannot be read: {}", image_,
                                  std::strerror(-result)));
      return;
    case Step::owner:
    case Step::refused:
      break;
  }
  BALLAST_ASSERT(false);
}

void RbdOwnership::did_acquire(int result) {
  if (result == 0) {
    step_ = Step::record;
  } else if ((result == -EROFS || result == -EBUSY || result == -EAGAIN) &&
             ++rounds_ < most_rounds) {
    step_ = Step::list;  // another client was faster
  } else if (result == -EINVAL) {
    refuse_without_feature();
  } else {
    refuse(-result,
           fmt::format("{}: its lock cannot be taken: {}", image_, std::strerror(-result)));
  }
}

const char* to_string(RbdOwnership::Step step) noexcept {
  switch (step) {
    case RbdOwnership::Step::list:
      return "reads who owns the lock";
    case RbdOwnership::Step::look:
      return "looks at the owner";
    case RbdOwnership::Step::fence:
      return "fences the owner";
    case RbdOwnership::Step::break_:
      return "breaks the owner's lock";
    case RbdOwnership::Step::acquire:
      return "takes the lock";
    case RbdOwnership::Step::record:
      return "writes its name into the image";
    case RbdOwnership::Step::owner:
      return "owns the image";
    case RbdOwnership::Step::refused:
      return "has given up";
  }
  return "unknown";
}

}  // namespace ballast::backend
