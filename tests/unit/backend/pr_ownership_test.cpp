// SPDX-License-Identifier: Apache-2.0
// Whose device it is: whom a gateway robs, and when it knows that nothing of an earlier owner can
// be written any more.
#include "lib/backend/pr_ownership.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <random>
#include <string>

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using Step = PrOwnership::Step;

namespace {

const PrKey ours = make_pr_key(2, 0x12345678);
const PrKey theirs = proven(make_pr_key(1, 0x76543210));

PrHolder held_by(PrKey key) {
  return {.key = key};
}

// Enrolled, and told who holds the device; and who did before, if it was another one.
PrOwnership facing(const std::optional<PrHolder>& holder, const std::optional<PrHolder>& before) {
  PrOwnership machine{"/dev/sdx", ours};
  assert_true(machine.step() == Step::look);
  machine.found(before);
  assert_true(machine.step() == Step::enroll);
  machine.did(0);
  assert_true(machine.step() == Step::look);
  machine.found(holder);
  return machine;
}

PrOwnership facing(const std::optional<PrHolder>& holder) {
  return facing(holder, holder);
}

void expect_refusal(const PrOwnership& machine, int errno_value, const char* words) {
  assert_true(machine.step() == Step::refused);
  assert_int_equal(machine.error().errno_value, errno_value);
  if (std::strstr(machine.error().message.c_str(), words) == nullptr) {
    print_error("%s\n", machine.error().message.c_str());
    assert_true(false);
  }
}

void a_key_says_whose_it_is(void**) {
  assert_int_equal(group_of(ours), 2);
  assert_false(is_proven(ours));
  assert_true(is_proven(proven(ours)));
  assert_int_equal(group_of(proven(ours)), 2);
  assert_string_equal(to_string(ours).c_str(), "0xba11000212345678");
  assert_false(is_given_back(proven(ours)));
  assert_true(is_given_back(given_back(ours)));
  assert_true(is_proven(given_back(ours)));
  assert_false(is_proven(make_pr_key(0, 1)));
  assert_true(is_proven(0x10));  // of another program
  assert_int_equal(group_of(0x0000000500000000), 0);
}

void a_free_device_is_reserved(void**) {
  PrOwnership machine = facing(std::nullopt);
  assert_true(machine.step() == Step::reserve);
  machine.did(0);
  assert_true(machine.step() == Step::prove);
  machine.did(0);
  assert_true(machine.step() == Step::owner);
}

void the_owner_is_robbed(void**) {
  PrOwnership machine = facing(held_by(theirs));
  assert_true(machine.step() == Step::rob);
  assert_true(machine.other() == theirs);
  machine.did(0);
  assert_true(machine.step() == Step::prove);
}

void another_program_is_robbed(void**) {
  PrOwnership machine = facing(PrHolder{.key = 0x10, .type = 3});
  assert_true(machine.step() == Step::rob);
  machine.did(0);
  assert_true(machine.step() == Step::prove);
}

void after_an_owner_that_never_knew_the_unit_is_reset(void**) {
  PrOwnership machine = facing(held_by(make_pr_key(1, 0x76543210)));
  assert_true(machine.step() == Step::rob);
  machine.did(0);
  assert_true(machine.step() == Step::reset);
  machine.did(0);
  assert_true(machine.step() == Step::prove);
}

// The kernel has sent the command again, and the second time it conflicts.
void a_robbery_without_an_answer_is_no_proof(void**) {
  PrOwnership machine = facing(held_by(theirs));
  machine.did(-EBADE);
  assert_true(machine.step() == Step::look);
  machine.found(held_by(ours));
  assert_true(machine.step() == Step::reset);
}

// The connection broke, or the command failed.
void after_an_error_it_looks_whether_the_owner_was_robbed(void**) {
  PrOwnership machine = facing(held_by(theirs));
  machine.did(-EIO);
  assert_true(machine.step() == Step::look);
  PrOwnership robbed = machine;
  robbed.found(held_by(ours));
  assert_true(robbed.step() == Step::reset);
  for (unsigned round = 1; round < PrOwnership::most_rounds; ++round) {
    machine.found(held_by(theirs));
    machine.did(-EIO);
  }
  expect_refusal(machine, EIO, "could not be robbed");
}

void an_error_ends_the_attempt(void**) {
  PrOwnership free = facing(std::nullopt);
  free.did(-EIO);
  expect_refusal(free, EIO, "cannot be reserved");
  PrOwnership blind{"/dev/sdx", ours};
  blind.did(-ENODEV);
  expect_refusal(blind, ENODEV, "cannot be read");
  PrOwnership stranger{"/dev/sdx", ours};
  stranger.found(std::nullopt);
  stranger.did(-EOPNOTSUPP);
  expect_refusal(stranger, EOPNOTSUPP, "no key can be registered");
}

void what_it_gave_back_itself_needs_no_reset(void**) {
  const PrKey earlier = given_back(make_pr_key(2, 0x55555550));
  assert_true(facing(held_by(ours), held_by(earlier)).step() == Step::prove);
  assert_true(facing(held_by(earlier)).step() == Step::rob);
}

void a_machine_that_came_back_resets_the_unit(void**) {
  PrOwnership machine = facing(held_by(ours), held_by(proven(make_pr_key(2, 0x55555550))));
  assert_true(machine.step() == Step::reset);
  machine.did(-EIO);
  expect_refusal(machine, EIO, "sg_reset");
}

void a_reservation_of_another_type_is_left_alone(void**) {
  expect_refusal(facing(PrHolder{.key = ours, .type = 1}, PrHolder{.key = 0x10, .type = 1}), EBUSY,
                 "type 1");
}

void another_machine_may_be_faster(void**) {
  PrOwnership machine = facing(std::nullopt);
  machine.did(-EBADE);
  machine.found(held_by(theirs));
  assert_true(machine.step() == Step::rob);
  machine.did(0);
  assert_true(machine.step() == Step::prove);
  machine.did(-EBADE);
  expect_refusal(machine, EBADE, "another machine has taken the device");
}

void it_gives_up_in_the_end(void**) {
  PrOwnership machine = facing(held_by(theirs));
  for (unsigned round = 1; round < PrOwnership::most_rounds; ++round) {
    machine.did(-EBADE);
    machine.found(held_by(theirs));
  }
  machine.did(-EBADE);
  expect_refusal(machine, EBADE, "RESERVE(6)");
}

// --- several machines before a device, in any order of their steps

constexpr std::size_t machines = 3;

// A logical unit as SPC-4 has it, as far as this is about it.
class Unit {
 public:
  std::optional<PrHolder> holder;
  std::array<PrKey, machines> keys{};          // registered
  std::array<unsigned, machines> under_way{};  // writes that it has begun to carry out

  bool writes(std::size_t who) const { return !holder.has_value() || keys[who] != 0; }
  int enroll(std::size_t who, PrKey key) {
    if (holder.has_value() && keys[who] != 0 && holder->key == keys[who]) {
      holder->key = key;
    }
    keys[who] = key;
    return 0;
  }
  int change(std::size_t who, PrKey from, PrKey to) {
    return keys[who] == from ? enroll(who, to) : -EBADE;
  }
  int reserve(std::size_t who) {
    if (keys[who] == 0 || holder.has_value()) {
      return -EBADE;
    }
    holder = PrHolder{.key = keys[who]};
    return 0;
  }
  // Without the end of the robbed one's writes, for which the answer has to wait.
  int preempt(std::size_t who, PrKey other) {
    bool found = false;
    robbed.fill(false);  // an answer is only about those that its own command has robbed
    for (std::size_t each = 0; each < machines; ++each) {
      if (each != who && keys[each] == other) {
        keys[each] = 0;
        found = true;
        robbed[each] = true;
      }
    }
    if (!found || keys[who] == 0) {
      return -EBADE;
    }
    if (holder.has_value() && holder->key == other) {
      holder = PrHolder{.key = keys[who]};
    }
    return 0;
  }
  void end_writes_of_robbed() {
    for (std::size_t each = 0; each < machines; ++each) {
      under_way[each] = robbed[each] ? 0 : under_way[each];
      robbed[each] = false;
    }
  }
  void reset() { under_way.fill(0); }

 private:
  std::array<bool, machines> robbed{};
};

struct Gateway {
  std::optional<PrOwnership> taking;
  bool owns = false;  // it believes so
};

// What a machine does next, and how the device or the connection ends it.
class World {
 public:
  explicit World(unsigned seed) : random_{seed} {}

  void step() {
    const std::size_t who = any(machines);
    Gateway& gateway = gateways_[who];
    switch (any(8)) {
      case 0:  // the machine goes down, and comes back; what it had sent goes on
        gateway = Gateway{};
        return;
      case 1:  // the device is done with something
        unit_.under_way[who] -= unit_.under_way[who] > 0 ? 1U : 0U;
        return;
      case 2:
        // It gives the device back, when its writes have ended.
        if (gateway.owns && unit_.under_way[who] == 0) {
          const PrKey key = unit_.keys[who];
          (void)unit_.change(who, key, key == 0 ? 0 : given_back(key));
          gateway.owns = false;
        }
        return;
      case 3:
      case 4:
        if (gateway.owns) {
          write(who);
        } else if (!gateway.taking.has_value()) {
          gateway.taking.emplace("/dev/sdx", make_pr_key(0, 4 * ++keys_));
        }
        return;
      default:
        if (gateway.taking.has_value()) {
          take(who, *gateway.taking);
        }
    }
  }
  unsigned takeovers() const { return takeovers_; }

 private:
  std::size_t any(std::size_t below) {
    return std::uniform_int_distribution<std::size_t>{0, below - 1}(random_);
  }
  void write(std::size_t who) {
    if (unit_.writes(who)) {
      assert_true(unit_.holder.has_value() && unit_.holder->key == unit_.keys[who]);
      ++unit_.under_way[who];
    } else {
      gateways_[who].owns = false;  // RESERVATION CONFLICT
    }
  }
  void take(std::size_t who, PrOwnership& machine) {
    switch (machine.step()) {
      case Step::enroll:
        machine.did(unit_.enroll(who, machine.key()));
        return;
      case Step::look:
        machine.found(unit_.holder);
        return;
      case Step::reserve:
        machine.did(unit_.reserve(who));
        return;
      case Step::rob:
        rob(who, machine);
        return;
      case Step::reset:
        if (any(4) == 0) {
          machine.did(-EIO);
        } else {
          unit_.reset();
          machine.did(0);
        }
        return;
      case Step::prove:
        machine.did(unit_.change(who, machine.key(), proven(machine.key())));
        return;
      case Step::owner:
        // Before it writes anything: nothing of anybody is under way, unless by its present owner.
        if (unit_.keys[who] == proven(machine.key())) {
          for (const unsigned writes : unit_.under_way) {
            assert_int_equal(writes, 0);
          }
          ++takeovers_;
        }
        gateways_[who] = Gateway{.taking = std::nullopt, .owns = true};
        return;
      case Step::refused:
        gateways_[who].taking.reset();
    }
  }
  void rob(std::size_t who, PrOwnership& machine) {
    const int result = unit_.preempt(who, machine.other());
    if (result == 0 && any(3) == 0) {
      machine.did(any(2) == 0 ? -EIO : -EBADE);  // no answer, or that to its repetition
      return;
    }
    if (result == 0) {
      unit_.end_writes_of_robbed();
    }
    machine.did(result);
  }

  std::mt19937 random_;
  Unit unit_;
  std::array<Gateway, machines> gateways_;
  std::uint32_t keys_ = 0;
  unsigned takeovers_ = 0;
};

// And only the holder writes.
void no_owner_begins_while_a_write_of_another_is_under_way(void**) {
  unsigned takeovers = 0;
  for (unsigned seed = 1; seed <= 300; ++seed) {
    World world{seed};
    for (int i = 0; i < 1000; ++i) {
      world.step();
    }
    takeovers += world.takeovers();
  }
  assert_true(takeovers > 1000);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_key_says_whose_it_is),
      cmocka_unit_test(a_free_device_is_reserved),
      cmocka_unit_test(the_owner_is_robbed),
      cmocka_unit_test(another_program_is_robbed),
      cmocka_unit_test(after_an_owner_that_never_knew_the_unit_is_reset),
      cmocka_unit_test(a_robbery_without_an_answer_is_no_proof),
      cmocka_unit_test(after_an_error_it_looks_whether_the_owner_was_robbed),
      cmocka_unit_test(an_error_ends_the_attempt),
      cmocka_unit_test(what_it_gave_back_itself_needs_no_reset),
      cmocka_unit_test(a_machine_that_came_back_resets_the_unit),
      cmocka_unit_test(a_reservation_of_another_type_is_left_alone),
      cmocka_unit_test(another_machine_may_be_faster),
      cmocka_unit_test(it_gives_up_in_the_end),
      cmocka_unit_test(no_owner_begins_while_a_write_of_another_is_under_way),
  };
  return cmocka_run_group_tests_name("pr_ownership", tests, nullptr, nullptr);
}
