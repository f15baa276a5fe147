// SPDX-License-Identifier: Apache-2.0
// A frozen old owner cannot land a late write.
//
// Each takeover: a process owns the image and writes to it all the time. It is stopped in the
// middle of that, with writes in its queues, on the way and at the OSD, which sometimes stands
// still as well. The image's metadata then names a process that does not run, as if the old owner
// were known to be gone. This process takes the image over, writes every block, and lets the old
// owner go on. Once the old owner has noticed that it is fenced, every block must hold what was
// written here.
//
// TAKEOVERS says how many (20). BALLAST_SEED draws the same again. One more test makes the cluster
// forget a blocklisted client after 2 s by default, which is how late writes come about.
#include <signal.h>

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
#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::rbd_test;
using namespace ballast::ring_test;
using namespace std::chrono_literals;

namespace {

// --- the old owner

// Says "open" once it writes, and "fenced" once every command is refused.
int own(const std::string& string) {
  const auto lun = Lun::add(string, sized_for_blocks());
  if (lun == nullptr) {
    std::puts(take_log().c_str());
    return 1;
  }
  const OldOwner owner{*lun};
  std::puts("open");
  std::fflush(stdout);
  while (owner.live() > 0) {
    std::this_thread::sleep_for(1ms);
  }
  std::puts("fenced");
  std::fflush(stdout);
  for (;;) {
    std::this_thread::sleep_for(1h);
  }
}

// --- the new owner

// Writes the record of a process that has ended, with the address of the lock's owner. It goes to
// the image's header as librbd would write it, because librbd would ask the old owner for the lock.
void declare_dead(const std::string& image) {
  std::string record;
  std::string id;
  assert_true(shell("rbd image-meta get " + image + " ballast.owner", &record));
  assert_true(shell("bash -c \"rbd info " + image + " | sed -n 's/^.*id: //p'\"", &id));
  const std::size_t at = record.find(" pid=");
  assert_true(at != std::string::npos);
  record.replace(at, record.find(' ', at + 1) - at, " pid=4194304");
  record.erase(record.find_last_not_of('\n') + 1);
  id.erase(id.find_last_not_of('\n') + 1);
  assert_true(shell("rados -p rbd setomapval rbd_header." + id + " metadata_ballast.owner '" +
                    record + "'"));
}

// One takeover. The old owner stands still for `frozen` after it. Returns the blocks that a late
// write has changed.
std::size_t take_over(const std::string& image, std::byte writer, std::mt19937_64& random,
                      std::chrono::milliseconds frozen) {
  Process old_owner{{"own", config(image)}};
  assert_string_equal(old_owner.line().c_str(), "open");
  std::this_thread::sleep_for(std::chrono::microseconds{random() % 30'000});
  std::optional<Frozen> osd;
  if (random() % 2 == 0) {
    osd.emplace("osd.0");
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 5000});
  }
  old_owner.signal(SIGSTOP);
  osd.reset();
  declare_dead(image);
  const auto lun = Lun::add(config(image), sized_for_blocks());
  if (lun == nullptr) {
    print_error("%s\n", take_log().c_str());
  }
  assert_non_null(lun.get());
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  assert_true(write_all(*lun, writer));
  std::this_thread::sleep_for(frozen);
  old_owner.signal(SIGCONT);
  assert_string_equal(old_owner.line().c_str(), "fenced");
  return blocks_that_differ(*lun, writer);
}

void no_late_write_lands(void**) {
  expect_no_late_write(20, [](std::byte writer, std::mt19937_64& random) {
    return take_over("rbd/takeover", writer, random, 0ms);
  });
}

void none_lands_after_the_usual_expiry(void**) {
  std::mt19937_64 random{seed()};
  make_image("rbd/expiry", 4);
  assert_true(shell("ceph config set mon mon_osd_blocklist_default_expire 2"));
  const std::size_t late = take_over("rbd/expiry", std::byte{7}, random, 6s);
  assert_true(shell("ceph config rm mon mon_osd_blocklist_default_expire"));
  assert_int_equal(late, 0);
}

}  // namespace

int main(int argc, char** argv) {
  require_cluster();
  load_built_plugin();
  if (argc == 3 && std::strcmp(argv[1], "own") == 0) {
    return own(argv[2]);
  }
  const CMUnitTest tests[] = {
      cmocka_unit_test(none_lands_after_the_usual_expiry),
      cmocka_unit_test(no_late_write_lands),
  };
  return cmocka_run_group_tests_name("takeover", tests, nullptr, nullptr);
}
