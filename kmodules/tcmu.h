// SPDX-License-Identifier: Apache-2.0
// What this kernel's TCMU can do, found out without disturbing anything.
//
// Attributes: each file of a user backstore's attrib/ folder in configfs. They exist from mkdir on,
// long before the backstore is enabled, so an existing one is read where there is one, and
// otherwise a folder is made and removed again: no netlink message, no uio device, no word in the
// kernel's log. Module parameters come from /sys/module.
//
// Mailbox capabilities: flags in the first bytes of a LUN's ring (struct tcmu_mailbox,
// linux/target_core_user.h). The kernel lets one process at a time open /dev/uioN (EBUSY for the
// second), so for a LUN in use the plugin is asked, which has it mapped (lib/watch/report.h,
// "list"). With no LUN, `probe` may make one for a moment; nl_reply_supported=-1 keeps the kernel
// from waiting for a handler. It is refused while tcmu-runner runs, which would log an error about
// a LUN it does not know. Where the mailbox can't be read, capabilities are concluded from
// attributes that came into the kernel with them.
//
// All of it needs root. Single-threaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/watch/mailbox.h"

namespace ballast::kmod {

// Where the kernel shows itself; tests give folders of their own.
struct Roots {
  std::string sysfs = "/sys";
  std::string configfs = "/sys/kernel/config";
  std::string proc = "/proc";
  std::string dev = "/dev";
};

using watch::Mailbox;

enum class Capability { out_of_order, read_length, tmr, keep_buffer };
inline constexpr std::size_t capability_count = 4;

struct CapabilityInfo {
  Capability capability;
  const char* name;    // as in JSON
  const char* reason;  // what Ballast wants it for
  std::uint16_t flag;  // in Mailbox::flags
};
std::span<const CapabilityInfo> capabilities();

enum class Answer { yes, no, unknown };
const char* to_string(Answer answer) noexcept;

struct Verdict {
  Answer answer = Answer::unknown;
  std::string known_from;
};

struct Tcmu {
  std::string attributes_from;                    // "user_0/vol0", or "a probe never enabled"
  std::map<std::string, std::string> attributes;  // attrib/<name>: value, default if a probe's
  std::vector<std::string> actions;               // action/<name>
  std::map<std::string, std::string> parameters;  // of module target_core_user
  std::optional<Mailbox> mailbox;
  std::string mailbox_from;  // or why there is none
};

// The attributes Ballast or an operator has a use for, and which; "" for any other.
const char* attribute_meaning(std::string_view name) noexcept;

// --- pure ----------------------------------------------------------------------------------------

// `bytes` is the beginning of a ring, at least mailbox_bytes of it.
inline constexpr std::size_t mailbox_bytes = 16;
Result<Mailbox> parse_mailbox(std::span<const std::byte> bytes);

// The first LUN's, of what the plugin reports as "list"; nullopt: there is none.
std::optional<Mailbox> parse_list(std::string_view report);

Verdict judge(const Tcmu& tcmu, const CapabilityInfo& capability);

// --- looking -------------------------------------------------------------------------------------

// ENOENT: target_core_user is not loaded or configfs not mounted. EPERM: not root.
// `probe`: enable a LUN for a moment if that is the only way to see a mailbox.
Result<Tcmu> examine(const Roots& roots, bool probe);

}  // namespace ballast::kmod
