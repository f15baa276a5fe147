// SPDX-License-Identifier: Apache-2.0
// Two gateways of one image in a real Ceph: what the one that stands by answers, how an initiator
// moves the image, and that nothing of the gateway that lost it lands late.
//
// TAKEOVERS says how many takeovers there are of an owner that is stopped, killed or runs on (6).
// BALLAST_SEED draws the same again.
#include "tests/rbd/gateways.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/rbd/blocks.h"
#include "tests/rbd/luns.h"
#include "tests/rbd/process.h"

#include "tests/cmocka.h"

using namespace ballast::rbd_test;
using namespace ballast::ring_test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr unsigned transition_sense = 0x040a;
constexpr std::byte new_owners{0x11};

bool has_lock(const char* image) {
  std::string locks;
  assert_true(shell("rbd lock ls " + std::string{image}, &locks));
  return locks.find("client.") != std::string::npos;
}

std::unique_ptr<Lun> gateway(const char* image, unsigned number) {
  auto lun = add_gateway(image, number);
  if (lun == nullptr) {
    print_error("%s\n", take_log().c_str());
  }
  assert_non_null(lun.get());
  assert_true(stands_by(*lun));
  return lun;
}

void expect_refused(const char* image, const char* words) {
  (void)take_log();
  // On a busy machine the LUN may be there before it is refused.
  const auto lun = add_gateway(image, 1);
  std::string log;
  const bool refused = log_says(log, {"cannot be opened"});
  if (!refused || log.find(words) == std::string::npos) {
    print_error("%s: %s\n", image, log.c_str());
    assert_true(false);
  }
}

// --- standing by

void what_cannot_stand_by_is_refused(void**) {
  make_image("rbd/wrong", 4);
  assert_true(shell("rbd snap create rbd/wrong@monday"));
  expect_refused("rbd/wrong@monday", "a snapshot cannot be owned");
  assert_true(shell("rbd create rbd/nolock --size 4M --image-feature layering"));
  expect_refused("rbd/nolock", "has no exclusive lock, which lock=standby needs");
  assert_true(shell("rbd config image set rbd/wrong rbd_cache true"));
  expect_refused("rbd/wrong", "the image's settings have rbd_cache=true");
}

void a_gateway_that_stands_by_touches_nothing(void**) {
  make_image("rbd/quiet", 4);
  const auto lun = gateway("rbd/quiet", 1);
  std::vector<std::byte> data(block_bytes);
  assert_int_equal(
      lun->execute(read_16(0, block_lbas), Direction::from_device, data).additional_sense(),
      0x040b);
  assert_int_equal(
      lun->execute(write_16(0, block_lbas), Direction::to_device, data).additional_sense(), 0x040b);
  std::vector<std::byte> page(96);
  assert_int_equal(lun->execute(inquiry(96), Direction::from_device, page).status, 0);
  assert_int_equal(std::to_integer<unsigned>(page[5]) & 0x30, 0x20);
  std::vector<std::byte> capacity(8);
  assert_int_equal(
      lun->execute(Cdb{0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}, Direction::from_device, capacity).status,
      0);
  assert_int_equal(reported(*lun, 1), standby);
  assert_int_equal(reported(*lun, 2), standby);
  assert_false(has_lock("rbd/quiet"));
}

// --- moving

void a_free_image_is_taken_and_given_back(void**) {
  make_image("rbd/free", 4);
  const auto first = gateway("rbd/free", 1);
  const auto second = gateway("rbd/free", 2);
  assert_true(take_over(*first, 1));
  assert_true(serves(*first));
  assert_true(write_all(*first, new_owners));
  assert_true(has_lock("rbd/free"));
  assert_int_equal(reported(*first, 1), active);
  assert_int_equal(reported(*first, 2), standby);
  // The other path tells the same.
  assert_true(eventually([&] { return reported(*second, 1) == active; }));
  assert_int_equal(reported(*second, 2), standby);
  // Not by a command, however often.
  for (int i = 0; i < 3; ++i) {
    assert_false(write_all(*second, old_owners));
  }
  assert_int_equal(set_state(*first, 1, standby).status, 0);
  assert_true(stands_by(*first));
  assert_false(has_lock("rbd/free"));
  assert_true(eventually([&] { return reported(*second, 1) == standby; }));
  // The lock was given back, so nobody is robbed, and nobody has to wait.
  assert_true(take_over(*second, 2));
  assert_int_equal(blocks_that_differ(*second, new_owners), 0);
}

void an_image_that_got_a_log_meanwhile_is_not_taken_over(void**) {
  make_image("rbd/logged", 4);
  const auto lun = gateway("rbd/logged", 1);
  put_label("rbd/logged");
  (void)take_log();
  assert_int_not_equal(set_state(*lun, 1, active).status, 0);
  assert_false(has_lock("rbd/logged"));
  std::string log;
  assert_true(eventually([&] {
    log += take_log();
    return log.find("was not taken over: rbd=rbd/logged is old without its write log") !=
           std::string::npos;
  }));
  remove_label("rbd/logged");
  assert_true(eventually([&] { return take_over(*lun, 1); }));
}

void a_live_owner_is_robbed_and_stands_by(void**) {
  make_image("rbd/rob", 4);
  const auto first = gateway("rbd/rob", 1);
  const auto second = gateway("rbd/rob", 2);
  assert_true(take_over(*first, 1));
  const OldOwner writing{*first};
  assert_true(eventually([&] { return writing.good() > 100; }));
  assert_true(take_over(*second, 2));
  const auto robbed = Clock::now();
  assert_true(write_all(*second, new_owners));
  assert_true(eventually([&] { return writing.live() == 0; }));
  assert_true(stands_by(*first));
  assert_true(eventually([&] { return reported(*first, 2) == active; }));
  assert_int_equal(reported(*first, 1), standby);
  assert_true(serves(*second));
  assert_int_equal(blocks_that_differ(*second, new_owners), 0);
  // The rival waits until the takeover is ten seconds old.
  if (Clock::now() - robbed < 5s) {
    assert_int_equal(set_state(*first, 1, active).status, busy);
    assert_true(serves(*second));
  }
  assert_true(take_over(*first, 1));
  assert_true(Clock::now() - robbed > 7s);
  assert_true(stands_by(*second));
  assert_int_equal(blocks_that_differ(*first, new_owners), 0);
}

void a_takeover_waits_for_a_header_that_hangs(void**) {
  make_image("rbd/header", 4);
  const auto first = gateway("rbd/header", 1);
  assert_true(take_over(*first, 1));
  const auto second = gateway("rbd/header", 2);  // after the takeover, of which it knows nothing
  assert_true(eventually([&] { return reported(*second, 1) == active; }));
  Countdown taken{2};
  std::vector<std::byte> list(8);
  list[7] = std::byte{2};
  const Cdb set{0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0};
  {
    const Frozen osd{"osd.0"};
    // The second one joins the first.
    assert_true(second->submit(set, Direction::to_device, list, taken.done()));
    assert_true(second->submit(set, Direction::to_device, list, taken.done()));
    assert_true(eventually([&] { return is_not_ready(ready(*second), transition_sense); }));
    assert_int_equal(reported(*second, 2), transitioning);
    std::this_thread::sleep_for(1s);
    assert_true(is_not_ready(ready(*second), transition_sense));
  }
  assert_true(taken.wait());
  assert_int_equal(taken.good(), 2);
  assert_true(serves(*second));
  assert_true(stands_by(*first));
}

void an_image_is_given_back_once_its_operations_have_ended(void**) {
  make_image("rbd/hang", 4);
  const auto lun = gateway("rbd/hang", 1);
  assert_true(take_over(*lun, 1));
  const OldOwner writing{*lun};
  Countdown given{1};
  std::vector<std::byte> list(8);
  list[4] = std::byte{standby};
  list[7] = std::byte{1};
  const Cdb set{0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0};
  {
    const Frozen osd{"osd.0"};
    assert_true(lun->submit(set, Direction::to_device, list, given.done()));
    // The commands whose operations hang are answered, and the image is not given back yet.
    assert_true(eventually([&] { return writing.live() == 0; }));
    assert_true(stands_by(*lun));
    assert_int_equal(given.good() + given.bad(), 0);
  }
  assert_true(given.wait());
  assert_int_equal(given.good(), 1);
  assert_false(has_lock("rbd/hang"));
  assert_true(take_over(*lun, 1));
  assert_true(serves(*lun));
}

void a_gateway_that_closes_leaves_the_image_free(void**) {
  make_image("rbd/leave", 4);
  auto first = gateway("rbd/leave", 1);
  assert_true(take_over(*first, 1));
  first.reset();
  assert_false(has_lock("rbd/leave"));
}

// What stands behind `before` in `text`, up to the next quotation mark.
std::string quoted(const std::string& text, const std::string& before) {
  const std::size_t at = text.find(before);
  assert_true(at != std::string::npos);
  const std::size_t begin = at + before.size();
  return text.substr(begin, text.find('"', begin) - begin);
}

// Takes the owner's lock away and fences nobody, which librbd would do.
void remove_lock(const std::string& image) {
  std::string info;
  assert_true(shell("rbd info --format json " + image, &info));
  const std::string lock = " rbd_header." + quoted(info, "\"id\":\"") + " rbd_lock";
  assert_true(shell("rados -p rbd lock info" + lock, &info));
  assert_true(shell("rados -p rbd lock break" + lock + " " +
                    quoted(info, "\"lockers\":[{\"name\":\"") + " --lock-cookie '" +
                    quoted(info, "\"cookie\":\"") + "'"));
}

void an_owner_that_stood_still_makes_sure_before_it_writes(void**) {
  make_image("rbd/still", 4);
  Process owner{{"own", "rbd/still"}};
  assert_string_equal(owner.line().c_str(), "open");
  const auto written = [&owner] {
    owner.signal(SIGUSR1);
    return std::strtoul(owner.line().c_str(), nullptr, 10);
  };
  const unsigned long before = written();
  owner.signal(SIGSTOP);
  std::this_thread::sleep_for(2500ms);
  owner.signal(SIGCONT);
  assert_true(eventually([&] { return written() > before + 100; }));
  // The lock is gone, and no operation fails, because nobody was fenced.
  owner.signal(SIGUSR2);
  const unsigned long stopped = std::strtoul(owner.line().c_str(), nullptr, 10);
  remove_lock("rbd/still");
  std::this_thread::sleep_for(2500ms);
  owner.signal(SIGCONT);
  assert_string_equal(owner.line().c_str(), "standby");
  // Those that were under way before it stopped.
  assert_true(written() - stopped <= 2 * OldOwner::depth);
}

// --- late writes

// Tells how many of its writes were good, in a signal handler.
void tell_good(const OldOwner& owner) {
  char text[32];
  const int length = std::snprintf(text, sizeof text, "%zu\n", owner.good());
  (void)!::write(STDOUT_FILENO, text, static_cast<std::size_t>(length));
}

// Takes the image, and says "open" once it writes; "standby" once every command is refused. Tells
// its good writes at SIGUSR1; at SIGUSR2, too, and then it stands still.
int own(const std::string& image) {
  static const OldOwner* told = nullptr;
  const auto lun = add_gateway(image, 1);
  if (lun == nullptr || !stands_by(*lun) || !take_over(*lun, 1)) {
    std::puts(take_log().c_str());
    return 1;
  }
  const OldOwner owner{*lun};
  told = &owner;
  (void)::signal(SIGUSR1, [](int) { tell_good(*told); });
  (void)::signal(SIGUSR2, [](int) {
    tell_good(*told);
    (void)::kill(::getpid(), SIGSTOP);
  });
  std::puts("open");
  std::fflush(stdout);
  while (owner.live() > 0) {
    std::this_thread::sleep_for(1ms);
  }
  std::puts(stands_by(*lun) ? "standby" : "not on standby");
  std::fflush(stdout);
  for (;;) {
    std::this_thread::sleep_for(1h);
  }
}

// Returns the blocks that a late write has changed.
std::size_t take_over_from(const std::string& image, std::byte writer, std::mt19937_64& random) {
  Process old_owner{{"own", image}};
  assert_string_equal(old_owner.line().c_str(), "open");
  const auto lun = gateway(image.c_str(), 2);
  std::this_thread::sleep_for(std::chrono::microseconds{random() % 30'000});
  std::optional<Frozen> osd;
  if (random() % 2 == 0) {
    osd.emplace("osd.0");
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 5000});
  }
  const std::uint64_t fate = random() % 3;
  if (fate == 0) {
    old_owner.kill();
  } else if (fate == 1) {
    old_owner.signal(SIGSTOP);
  }
  osd.reset();
  assert_true(take_over(*lun, 2));
  assert_true(write_all(*lun, writer));
  if (fate == 1) {
    old_owner.signal(SIGCONT);
  }
  if (fate != 0) {
    assert_string_equal(old_owner.line().c_str(), "standby");
  }
  return blocks_that_differ(*lun, writer);
}

void nothing_of_the_old_owner_lands_late(void**) {
  expect_no_late_write(6, [](std::byte writer, std::mt19937_64& random) {
    return take_over_from("rbd/takeover", writer, random);
  });
}

}  // namespace

int main(int argc, char** argv) {
  require_cluster();
  load_built_plugin();
  if (argc == 3 && std::strcmp(argv[1], "own") == 0) {
    return own(argv[2]);
  }
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_cannot_stand_by_is_refused),
      cmocka_unit_test(a_gateway_that_stands_by_touches_nothing),
      cmocka_unit_test(a_free_image_is_taken_and_given_back),
      cmocka_unit_test(an_image_that_got_a_log_meanwhile_is_not_taken_over),
      cmocka_unit_test(a_live_owner_is_robbed_and_stands_by),
      cmocka_unit_test(a_takeover_waits_for_a_header_that_hangs),
      cmocka_unit_test(an_image_is_given_back_once_its_operations_have_ended),
      cmocka_unit_test(a_gateway_that_closes_leaves_the_image_free),
      cmocka_unit_test(an_owner_that_stood_still_makes_sure_before_it_writes),
      cmocka_unit_test(nothing_of_the_old_owner_lands_late),
  };
  return cmocka_run_group_tests_name("gateway", tests, nullptr, nullptr);
}
