// SPDX-License-Identifier: Apache-2.0
// Finds out what this kernel's TCMU can do, without disturbing anything.
//
// Attributes are the files in the attrib/ folder of a user backstore in configfs. The kernel makes
// them at mkdir, long before the backstore is enabled. So they are read from an existing backstore,
// or, if there is none, from a folder that is made and removed again. This sends no netlink
// message, makes no uio device and logs nothing in the kernel's log. Module parameters come from
// /sys/module.
//
// Mailbox capabilities are flags in the first bytes of a LUN's ring (struct tcmu_mailbox,
// linux/target_core_user.h). The kernel lets only one process at a time open /dev/uioN; a second
// one gets EBUSY. For a LUN in use, therefore, the plugin tells the flags, because it has the ring
// mapped (ballast-json(5), "list"). If there is no LUN, `probe` makes one for a moment, with
// nl_reply_supported=-1, so that the kernel does not wait for a handler. No probe is made while
// tcmu-runner runs, because it would log an error about a LUN that it does not know. If no mailbox
// can be read, the capabilities are concluded from attributes that came into the kernel with them.
//
// All of this needs root. Blocks. Single-threaded.
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

// The folders in which the kernel shows its state. Tests give folders of their own.
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
  const char* reason;  // why Ballast wants it, or does not
  std::uint16_t flag;  // in Mailbox::flags
};
std::span<const CapabilityInfo> capabilities();

enum class Answer { yes, no, unknown };
const char* to_string(Answer answer) noexcept;

// An answer, and the source from which it is known.
struct Verdict {
  Answer answer = Answer::unknown;
  std::string known_from;
};

struct Tcmu {
  std::string attributes_from;                    // "user_0/vol0", or that it was a probe
  std::map<std::string, std::string> attributes;  // attrib/<name>: its value; a probe has defaults
  std::vector<std::string> actions;               // the names in action/
  std::map<std::string, std::string> parameters;  // of module target_core_user
  std::optional<Mailbox> mailbox;
  std::string mailbox_from;  // the source of the mailbox, or why there is none
};

// What an attribute means to Ballast or to an operator; "" if it means nothing to them.
const char* attribute_meaning(std::string_view name) noexcept;

// --- pure ----------------------------------------------------------------------------------------

// `bytes`: the beginning of a ring, at least mailbox_bytes of it. EPROTO: an unknown mailbox
// version.
inline constexpr std::size_t mailbox_bytes = 16;
Result<Mailbox> parse_mailbox(std::span<const std::byte> bytes);

// Returns the mailbox of the first LUN in the plugin's report "list"; nullopt if there is no LUN or
// the report cannot be read.
std::optional<Mailbox> parse_list(std::string_view report);

// Decides by the mailbox, or, if there is none, by the attributes and actions.
Verdict judge(const Tcmu& tcmu, const CapabilityInfo& capability);

// --- looking at the kernel -----------------------------------------------------------------------

// ENOENT: target_core_user is not loaded, or configfs is not mounted. EPERM: not root. `probe`:
// enable a LUN for a moment if there is no other way to see a mailbox.
Result<Tcmu> examine(const Roots& roots, bool probe);

}  // namespace ballast::kmod
