// SPDX-License-Identifier: Apache-2.0
// The built plugin, and the target port groups of a LUN whose device is shared, as it finds them in
// configfs. The device is not there, as when a gateway boots before its disks; the groups are read
// all the same, so that what is wrong with them is in the log before anybody needs them.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/ring/configfs.h"
#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::ring_test;

namespace {

constexpr unsigned good = 0x00;
constexpr unsigned busy = 0x08;
constexpr const char* shared_device = "file=/dev/ballast-not-attached;lock=pr";

void make_group(const std::string& lun, const std::string& target, int number, bool enabled) {
  set_tpg(target, number, enabled);
  set_group(lun, "gw" + std::to_string(number), 10 * number,
            "iSCSI/" + target + "/tpgt_" + std::to_string(number) + "/lun_0\n");
}

std::unique_ptr<Lun> add(const std::string& name) {
  LunOptions options;
  options.name = name;
  options.at_start = true;
  std::unique_ptr<Lun> lun = Lun::add(shared_device, options);
  assert_non_null(lun.get());
  return lun;
}

// The first commands may come before the groups have been read, and are answered BUSY.
bool says_who_it_is(Lun& lun) {
  std::vector<std::byte> data(255);
  return eventually([&] {
    const Answer answer = lun.execute(inquiry(255), Direction::from_device, data);
    assert_true(answer.status == good || answer.status == busy);
    return answer.status == good;
  });
}

bool says_in_time(const char* text) {
  std::string log;
  return eventually([&] {
    log += take_log();
    return log.find(text) != std::string::npos;
  });
}

// targetcli makes the groups after the LUN, one after the other.
void what_is_wrong_with_the_groups_is_logged_and_that_they_are_mended_too(void**) {
  (void)take_log();
  const std::string target = "iqn.2003-01.org.example:mended";
  const auto lun = add("mended");
  assert_true(says_who_it_is(*lun));
  assert_true(says_in_time("mended: it is in no target port group"));
  make_group("mended", target, 1, true);
  make_group("mended", target, 2, false);
  assert_true(says_in_time("mended: its target port groups are in order"));
}

void groups_that_are_in_order_from_the_start_are_not_talked_of(void**) {
  (void)take_log();
  const std::string target = "iqn.2003-01.org.example:quiet";
  make_group("quiet", target, 1, true);
  make_group("quiet", target, 2, false);
  const auto lun = add("quiet");
  assert_true(says_who_it_is(*lun));
  assert_true(lun->remove());
  assert_true(take_log().find("group") == std::string::npos);
}

// Somebody changes the folder for a long time, and it is locked meanwhile.
void a_configfs_that_does_not_answer_holds_up_neither_the_lun_nor_its_removal(void**) {
  (void)take_log();
  const std::string target = "iqn.2003-01.org.example:locked";
  make_group("locked", target, 1, true);
  const Folder folder{"/dev/shm"};
  const std::string fifo = folder.file("locked");
  assert_int_equal(::mkfifo(fifo.c_str(), 0600), 0);
  const std::string members = configfs_file("locked", "alua/gw1/members");
  std::filesystem::remove(members);
  std::filesystem::create_symlink(fifo, members);
  const auto lun = add("locked");
  assert_true(says_who_it_is(*lun));
  assert_true(take_log().find("locked: it is in no target port group") == std::string::npos);
  assert_true(lun->remove());
  // The errand goes on, and nobody waits for what it has read.
  const int fd = ::open(fifo.c_str(), O_WRONLY | O_NONBLOCK);
  assert_true(fd >= 0);
  ::close(fd);
}

}  // namespace

int main() {
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_wrong_with_the_groups_is_logged_and_that_they_are_mended_too),
      cmocka_unit_test(groups_that_are_in_order_from_the_start_are_not_talked_of),
      cmocka_unit_test(a_configfs_that_does_not_answer_holds_up_neither_the_lun_nor_its_removal),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
