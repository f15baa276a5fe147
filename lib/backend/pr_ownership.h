// SPDX-License-Identifier: Apache-2.0
// PrOwnership: how a gateway makes a shared block device its own with SCSI persistent reservations
// (SPC-4, 5.13), as a state machine without calls of its own. PrDevice (pr_device.h) carries out
// the steps. Pure; any one thread.
//
// The owner holds a reservation of the type Write Exclusive, Registrants Only, and nobody else is
// registered who would write. The device refuses the writes of everybody else, also those that a
// machine sends late. But a write that the device has already begun to carry out is beyond the
// reservation. So the present owner is not only robbed of the reservation, but its commands are
// aborted (PREEMPT AND ABORT). The device answers this command only when they have ended.
//
//   look -> enroll -> look -> reserve or rob -> prove -> owner
//                      |               |         ^
//                      +-------------> reset ----+
//
// What if PREEMPT AND ABORT is not answered, because the connection broke or the machine died? The
// reservation may be ours, and the commands of the robbed owner still under way. Asking for the
// holder would not tell. So the lowest bit of the key says whether an owner knows that the commands
// of its predecessor have ended. It takes the reservation with a key without that bit, and sets the
// bit in its key (`prove`) when it knows. A machine that has robbed a holder without the bit resets
// the logical unit before it proves: that ends the commands of everybody. It does the same if it
// finds itself the holder: it was not answered, or the machine has gone down and come back, and its
// own last commands may be under way.
//
// The device stays reserved for ever. If an owner that gives it back released the reservation, the
// writes of an earlier owner, one that has stood still since it was robbed, would be let in again.
// So it only sets another bit in its key, which says that it has given the device back, and that
// its commands have ended.
//
// Each attempt has a new key. Otherwise an owner that stood still could take the reservation of
// another machine with the same key, or one that it had earlier, for its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "lib/base/result.h"

namespace ballast::backend {

// A reservation key: 63-48 0xba11; 47-32 the target port group of the gateway; 31-2 a random
// number; 1 whether its owner has given the device back; 0 whether it is proven. 0 is no key.
using PrKey = std::uint64_t;

PrKey make_pr_key(std::uint16_t group, std::uint32_t random);  // not proven
constexpr PrKey proven(PrKey key) {
  return key | 1;
}
constexpr PrKey given_back(PrKey key) {
  return key | 3;
}
bool is_given_back(PrKey key);
// Whether its holder knew that the commands of the one before had ended. A key that is none of
// Ballast's counts as proven.
bool is_proven(PrKey key);
// 0: none, or the key is none of Ballast's.
std::uint16_t group_of(PrKey key);
std::string to_string(PrKey key);

struct PrHolder {
  static constexpr std::uint8_t registrants_only = 5;  // Write Exclusive, Registrants Only

  PrKey key = 0;
  std::uint8_t type = registrants_only;

  friend bool operator==(const PrHolder&, const PrHolder&) = default;
};

class PrOwnership {
 public:
  enum class Step : std::uint8_t {
    look,     // read who holds the reservation, then found()
    enroll,   // register key(), whatever this machine had registered before, then did()
    reserve,  // reserve with key(), then did()
    rob,      // preempt other() and abort its commands, then did()
    reset,    // reset the logical unit, then did()
    prove,    // change key() to proven(key()), then did()
    owner,    // nothing: the device is ours, with the key proven(key())
    refused,  // nothing: see error()
  };
  // How often another machine may be faster before this one gives up.
  static constexpr unsigned most_rounds = 3;

  // `device` names it in messages. `key`: of make_pr_key().
  PrOwnership(std::string device, PrKey key) : device_{std::move(device)}, key_{key} {}

  Step step() const { return step_; }
  PrKey key() const { return key_; }
  // The holder that is in the way, in the step `rob`.
  PrKey other() const { return other_; }
  const Error& error() const { return error_; }

  void found(const std::optional<PrHolder>& holder);
  // How the device answered the step: 0, -EBADE for RESERVATION CONFLICT, or another negative
  // errno.
  void did(int result);

 private:
  void did_move(int result);
  void refuse(int errno_value, std::string message);

  std::string device_;
  PrKey key_;
  Step step_ = Step::look;
  bool enrolled_ = false;
  bool is_quiet_ = false;  // the holder that we replace, if any, has given the device back
  PrKey other_ = 0;
  unsigned rounds_ = 0;
  Error error_{0, ""};
};

// What the step does, for messages: "robs the owner".
const char* to_string(PrOwnership::Step step) noexcept;

}  // namespace ballast::backend
