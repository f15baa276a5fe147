// SPDX-License-Identifier: Apache-2.0
#include "kmodules/tcmu.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

namespace ballast::kmod {
namespace {

// From linux/target_core_user.h. That header does not compile as C++, because it returns an integer
// as an enumeration.
constexpr std::uint16_t mailbox_version = 2;  // TCMU_MAILBOX_VERSION
constexpr std::uint16_t flag_out_of_order = 1U << 0U, flag_read_length = 1U << 1U,
                        flag_tmr = 1U << 2U, flag_keep_buffer = 1U << 3U;
// Offsets in bytes in struct tcmu_mailbox, which is packed.
constexpr std::size_t offset_version = 0, offset_flags = 2, offset_ring = 4, offset_ring_size = 8;

constexpr std::array capability_table{
    CapabilityInfo{Capability::out_of_order, "out_of_order_completion",
                   "a slow command does not hold back those behind it", flag_out_of_order},
    CapabilityInfo{Capability::read_length, "read_length",
                   "the initiator is told how much data a short read returned", flag_read_length},
    CapabilityInfo{Capability::tmr, "task_management",
                   "the kernel tells Ballast when an initiator aborts a command", flag_tmr},
    CapabilityInfo{Capability::keep_buffer, "keep_buffer",
                   "not used: Ballast copies the data, and so loses none when the daemon dies",
                   flag_keep_buffer},
};

struct Meaning {
  std::string_view name;
  const char* text;
};
constexpr std::array meanings{
    Meaning{"cmd_time_out", "seconds until the kernel answers a command by itself; 0: never"},
    Meaning{"qfull_time_out",
            "seconds that a command waits for room in the ring; -1: as cmd_time_out"},
    Meaning{"max_data_area_mb", "MiB of data in flight, per LUN"},
    Meaning{"cmd_ring_size_mb", "MiB of commands in flight, per LUN"},
    Meaning{"hw_max_sectors", "longest transfer, in blocks of hw_block_size; 0: 128"},
    Meaning{"hw_block_size", "bytes; 0: 512"},
    Meaning{"nl_reply_supported", "1: creating a LUN waits for the handler's answer"},
    Meaning{"tmr_notification", "1: the kernel tells the handler about aborts"},
    Meaning{"emulate_write_cache", "ignored: Ballast answers mode pages itself"},
};

template <class T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

std::span<const CapabilityInfo> capabilities() {
  return capability_table;
}

const char* to_string(Answer answer) noexcept {
  switch (answer) {
    case Answer::yes:
      return "yes";
    case Answer::no:
      return "no";
    case Answer::unknown:
      return "unknown";
  }
  return "?";
}

const char* attribute_meaning(std::string_view name) noexcept {
  for (const Meaning& meaning : meanings) {
    if (meaning.name == name) {
      return meaning.text;
    }
  }
  return "";
}

Result<Mailbox> parse_mailbox(std::span<const std::byte> bytes) {
  if (bytes.size() < mailbox_bytes) {
    return Error{EINVAL, fmt::format("the ring begins with {} bytes, a mailbox has {}",
                                     bytes.size(), mailbox_bytes)};
  }
  const Mailbox mailbox{
      load<std::uint16_t>(bytes, offset_version), load<std::uint16_t>(bytes, offset_flags),
      load<std::uint32_t>(bytes, offset_ring), load<std::uint32_t>(bytes, offset_ring_size)};
  if (mailbox.version != mailbox_version) {
    return Error{EPROTO, fmt::format("the ring has mailbox version {}, known is {}",
                                     mailbox.version, mailbox_version)};
  }
  return mailbox;
}

std::optional<Mailbox> parse_list(std::string_view report) {
  try {
    const nlohmann::json document = nlohmann::json::parse(report);
    if (document.at("version") == 1) {
      const nlohmann::json& told = document.at("luns").at(0).at("mailbox");
      return Mailbox{told.at("version"), told.at("flags"), told.at("ring_offset"),
                     told.at("ring_bytes")};
    }
  } catch (const nlohmann::json::exception&) {
    // The report has no LUN, or comes from an older plugin.
  }
  return std::nullopt;
}

Verdict judge(const Tcmu& tcmu, const CapabilityInfo& capability) {
  if (tcmu.mailbox) {
    const bool set = (tcmu.mailbox->flags & capability.flag) != 0;
    return {set ? Answer::yes : Answer::no, tcmu.mailbox_from};
  }
  if (tcmu.attributes.empty()) {
    return {Answer::unknown, "neither a mailbox nor attributes to read"};
  }
  bool keeps = false;
  for (const std::string& action : tcmu.actions) {
    keeps = keeps || action == "free_kept_buf";
  }
  const bool tells_aborts = tcmu.attributes.contains("tmr_notification");
  switch (capability.capability) {
    case Capability::keep_buffer:
      // The capability and this action came with one change, in Linux 5.15.
      return {keeps ? Answer::yes : Answer::no,
              keeps ? "action/free_kept_buf is there" : "no action/free_kept_buf"};
    case Capability::tmr:
      // The capability and this attribute came with one change, in Linux 5.10.
      return {tells_aborts ? Answer::yes : Answer::no,
              tells_aborts ? "attrib/tmr_notification is there" : "no attrib/tmr_notification"};
    case Capability::out_of_order:
    case Capability::read_length:
      if (tells_aborts) {
        return {Answer::yes, "older than attrib/tmr_notification, which is there"};
      }
      return {Answer::unknown, "no mailbox to read"};
  }
  return {};
}

}  // namespace ballast::kmod
