// SPDX-License-Identifier: Apache-2.0
// RbdOwnership: who may write to an image, as a state machine without calls of its own. rbd_lock.h
// carries out the steps and reports what became of them. Pure; any one thread.
//
// Why the old owner is fenced before its lock is broken. Breaking a lock makes the cluster refuse
// the old owner's operations (its address comes on the blocklist), but by default for an hour only.
// A process that stood still, or was cut off, for longer than that would then write its old data
// over that of the new owner, and nobody would see an error: librbd checks no lock on writes. So
// the old owner is put on the blocklist for a year first. The order matters, because breaking the
// lock never shortens or extends an entry that is there. The new owner changes nothing before it
// has the lock. Its operations carry at least the map that refuses the old owner, so a late write
// of the old owner lands before the new owner's first one to the same object, or never.
//
//   list -> look -> fence -> break -> acquire -> record -> owner
//
// A free lock proves nothing: another kind of client may have broken the lock of an owner that
// stood still, for an hour, and given it back. So an owner writes a record of itself into the
// image's metadata, and takes it out before it gives the lock back in order. An owner that is still
// in the record of a free image is fenced like one that has the lock.
//
// By itself it breaks a lock only if the owner is certainly gone: a process of this machine that
// has ended, or another machine's that the cluster has not heard of for half a minute (it has no
// watch on the image any more). A live owner is robbed only where somebody has asked for it, an
// initiator or an operator (Manner::robs); it is fenced in the same way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace ballast::backend {

// Who holds the lock. It stands in the image's metadata, for the next owner to read.
struct OwnerRecord {
  static constexpr const char* key = "ballast.owner";  // of the metadata

  std::string machine;        // /etc/machine-id
  std::string boot;           // /proc/sys/kernel/random/boot_id
  std::string pid_namespace;  // readlink /proc/self/ns/pid
  std::uint64_t pid = 0;
  std::uint64_t start_time = 0;  // of the process, in clock ticks after boot
  std::string address;           // in the cluster, as rbd_lock_get_owners() writes it
  std::uint16_t group = 0;       // the target port group of a gateway (lib/backend/shared_store.h)

  friend bool operator==(const OwnerRecord&, const OwnerRecord&) = default;
};
std::string to_string(const OwnerRecord& record);
// Returns nothing if the text is not a record.
std::optional<OwnerRecord> parse_owner_record(std::string_view text);

// What is known of the present owner.
struct OwnerFacts {
  std::optional<OwnerRecord> record;  // as the metadata has it; it may be of an earlier owner
  bool watches = false;               // the cluster has heard of it in the last half minute
  bool runs = false;  // a process with the record's pid and start time runs in our pid namespace
};

class RbdOwnership {
 public:
  enum class Step : std::uint8_t {
    list,     // list the lock's owners, then owner_is()
    look,     // read the record, find out about other() if there is one, then found()
    fence,    // put other() on the blocklist for a year, then did()
    break_,   // break other()'s lock, then did()
    acquire,  // take the lock, then did()
    record,   // write our record, then did()
    owner,    // nothing: the image is ours
    refused,  // nothing: see error()
  };
  enum class Manner : bool { spares, robs };  // a live owner
  // How often another client may be faster before this one gives up.
  static constexpr unsigned most_rounds = 3;

  // `image` names the image in messages. `self`: our record, its address empty.
  RbdOwnership(std::string image, OwnerRecord self, Manner manner = Manner::spares)
      : image_{std::move(image)}, self_{std::move(self)}, manner_{manner} {}

  Step step() const { return step_; }
  // The owner that is in the way; empty: there is none, or it is not known yet.
  const std::string& other() const { return other_; }
  // Whether that owner may be alive.
  bool robs() const { return robs_; }
  const Error& error() const { return error_; }

  // The lock's owner; empty: nobody has the lock.
  void owner_is(std::string address);
  void found(const OwnerFacts& facts);
  // How librbd or librados answered the step: 0, or a negative errno.
  void did(int result);

 private:
  bool is_dead(const OwnerFacts& facts) const;
  std::string describe(const OwnerFacts& facts) const;
  void refuse(int errno_value, std::string message);
  void refuse_without_feature();
  void did_acquire(int result);

  std::string image_;
  OwnerRecord self_;
  Manner manner_;
  bool robs_ = false;
  Step step_ = Step::list;
  std::string other_;
  bool lock_is_free_ = false;
  unsigned rounds_ = 0;
  Error error_{0, ""};
};

// What the step does, for messages: "breaks its owner's lock".
const char* to_string(RbdOwnership::Step step) noexcept;

}  // namespace ballast::backend
