// SPDX-License-Identifier: Apache-2.0
// The built plugin over images of a real Ceph: what is refused, what is served, and what happens
// while an OSD or the monitor stands still.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/rbd/luns.h"
#include "tests/rbd/process.h"
#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::rbd_test;
using namespace ballast::ring_test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

// Whether the log says it, now or soon.
bool is_said(const char* words) {
  std::string log;
  return eventually([&] {
    log += take_log();
    return log.find(words) != std::string::npos;
  });
}

// --- what is wrong

void each_thing_that_is_wrong_has_its_sentence(void**) {
  make_image("rbd/wrong");
  assert_true(shell("rbd namespace create rbd/team"));
  expect_refused(config("nopool/wrong"), {"the cluster has no pool \"nopool\""});
  expect_refused(config("rbd/missing"), {"there is no image \"missing\""});
  expect_refused(config("rbd/wrong@monday"), {"has no snapshot \"monday\""});
  expect_refused(config("rbd/nons/wrong"), {"has no namespace \"nons\""});
  expect_refused(config("rbd/team/wrong"), {"there is no image \"wrong\""});
  expect_refused(config("rbd/wrong", ";id=nobody"), {"has no key of client.nobody"});
  expect_refused("rbd=rbd/wrong;conf=/nonexistent", {"/nonexistent, cannot be read"});
  expect_refused(config("rbd/wrong"), {"has 64MiB but the LUN was created with size=128MiB"}, 128);
  expect_refused(config("rbd/wrong", ";encryption=luks2"), {"add ;passphrase_file="});
  expect_refused(config("rbd/wrong", ";encryption=luks2;passphrase_file=/nonexistent"),
                 {"/nonexistent cannot be read"});
  expect_refused(config("rbd/wrong", ";encryption=luks2;passphrase_file=/etc/hostname"),
                 {"not encrypted with LUKS2"});
}

void metadata_that_overrides_a_setting_is_refused(void**) {
  make_image("rbd/metadata");
  assert_true(shell("rbd config image set rbd/metadata rbd_cache true"));
  expect_refused(config("rbd/metadata"), {"the image's settings have rbd_cache=true"});
  assert_true(shell("rbd config image remove rbd/metadata rbd_cache"));
  assert_true(shell("rbd config image set rbd/metadata rbd_blocklist_on_break_lock false"));
  expect_refused(config("rbd/metadata"), {"rbd_blocklist_on_break_lock=false"});
}

void an_image_without_the_lock_needs_a_word(void**) {
  assert_true(shell("rbd create rbd/nolock --size 64M --image-feature layering"));
  expect_refused(config("rbd/nolock"), {"has no exclusive lock"});
  const auto lun = open_lun(config("rbd/nolock", ";lock=none"));
  assert_non_null(lun.get());
}

void an_image_that_is_old_without_its_log_is_refused(void**) {
  make_image("rbd/logged");
  put_label("rbd/logged");
  const std::initializer_list<const char*> words{
      "is old without its write log, /fast/vol0.log on gate-1", "if that log is lost"};
  expect_refused(config("rbd/logged"), words);
  expect_refused(config("rbd/logged", ";lock=none"), words);
  expect_refused(config("rbd/logged", ";lock=standby"), words);
  assert_true(shell("rbd image-meta set rbd/logged ballast.log rubbish"));
  expect_refused(config("rbd/logged"), {"the label", "is damaged"});
  remove_label("rbd/logged");
  const auto lun = open_lun(config("rbd/logged"));
  assert_non_null(lun.get());
}

// ballastctl on the image, with `options`.
bool ballastctl(const std::string& options, const std::string& image = "rbd/lost") {
  return shell(std::string{std::getenv("BALLASTCTL")} + " " + options + " 'rbd=" + image +
               ";conf=" + std::getenv("CEPH_CONF") + "' > " + std::getenv("BALLAST_CEPH") +
               "/said 2>&1");
}

void an_image_can_do_without_a_log_that_is_lost(void**) {
  make_image("rbd/lost");
  put_label("rbd/lost");
  const std::string label = "rbd image-meta get rbd/lost ballast.log | grep -q ";
  const std::string said = std::string{std::getenv("BALLAST_CEPH")} + "/said";
  assert_false(ballastctl("log abandon"));  // --yes is missing
  assert_true(shell("grep -q 'needs the log /fast/vol0.log on gate-1' " + said));
  expect_refused(config("rbd/lost"), {"is old without its write log"});
  assert_true(ballastctl("log abandon --yes"));
  assert_true(shell(label + "0200000000000000"));  // the next owner
  {
    const auto lun = open_lun(config("rbd/lost"));
    assert_non_null(lun.get());
    assert_false(ballastctl("log abandon --yes"));  // a LUN has the image
  }
  assert_false(ballastctl("log abandon --yes"));
  assert_true(shell("grep -q 'needs no write log' " + said));
  assert_true(shell("rbd image-meta set rbd/lost ballast.log rubbish"));
  assert_true(ballastctl("log abandon --yes"));
  const auto lun = open_lun(config("rbd/lost"));
  assert_non_null(lun.get());
}

void a_damaged_label_of_an_image_is_written_anew_from_its_log(void**) {
  make_image("rbd/relabelled");
  const Folder folder{"/var/tmp"};
  const std::string log = folder.file("vol0.log");
  const std::string logged = config("rbd/relabelled", ";log=" + log + ";log_size=256MiB");
  std::vector<std::byte> data = bytes_of(4096, 7);
  {
    const auto lun = open_lun(logged);
    assert_non_null(lun.get());
    assert_int_equal(write(*lun, 64, data).status, good);
    assert_false(ballastctl("log relabel --yes " + log, "rbd/relabelled"));  // a LUN has both
  }
  assert_false(ballastctl("log relabel --yes " + log, "rbd/relabelled"));  // it is not damaged
  assert_true(shell("rbd image-meta set rbd/relabelled ballast.log rubbish"));
  expect_refused(logged, {"the label", "is damaged"});
  assert_false(ballastctl("log relabel " + log, "rbd/relabelled"));  // --yes is missing
  assert_true(ballastctl("log relabel --yes " + log, "rbd/relabelled"));
  const auto lun = open_lun(logged);
  assert_non_null(lun.get());
  assert_true(read(*lun, 64, data.size()) == data);
}

void a_key_that_does_not_fit_is_refused(void**) {
  make_image("rbd/key");
  const std::string path = std::string{std::getenv("BALLAST_CEPH")} + "/wrong.conf";
  assert_true(shell("bash -c 'ceph-authtool --create-keyring " + path +
                    ".keyring --gen-key -n client.admin && sed \"s,^keyring = .*/keyring$,keyring "
                    "= " +
                    path + ".keyring,\" $CEPH_CONF > " + path + "'"));
  expect_refused("rbd=rbd/key;conf=" + path, {"does not accept client.admin"});
}

void an_unreachable_cluster_is_waited_for(void**) {
  make_image("rbd/later");
  std::unique_ptr<Lun> lun;
  {
    const Frozen monitor{"mon"};
    lun = Lun::add(config("rbd/later"));
    assert_non_null(lun.get());
    assert_true(lun->execute(test_unit_ready()).becoming_ready());
  }
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
}

// --- what is served

void many_commands_at_once_keep_their_data(void**) {
  make_image("rbd/load");
  const std::uint64_t drawn = seed();
  const auto lun = open_lun(config("rbd/load"));
  assert_non_null(lun.get());
  const LoadResult result = random_load(*lun, 3000, 32, 512, drawn);
  assert_int_equal(result.failed, 0);
  assert_int_equal(result.mismatches, 0);
}

void names_with_any_character_are_found(void**) {
  assert_true(shell("ceph osd pool create 'a,b:c%d' 8"));
  assert_true(shell("rbd pool init 'a,b:c%d'"));
  assert_true(shell("rbd create --pool 'a,b:c%d' --image 'v;1' --size 64M"));
  const auto lun = open_lun(config("a%2Cb%3Ac%25d/v%3B1"));
  assert_non_null(lun.get());
}

void a_namespace_is_a_place_of_its_own(void**) {
  assert_true(shell("rbd namespace create rbd/space"));
  make_image("rbd/space/image");
  const auto lun = open_lun(config("rbd/space/image"));
  assert_non_null(lun.get());
  std::vector<std::byte> data = bytes_of(mib, 1);
  assert_int_equal(write(*lun, 0, data).status, good);
  assert_true(read(*lun, 0, mib) == data);
}

void a_snapshot_is_read_only(void**) {
  make_image("rbd/snap");
  std::vector<std::byte> before = bytes_of(mib, 1);
  std::vector<std::byte> after = bytes_of(mib, 2);
  const auto lun = open_lun(config("rbd/snap"));
  assert_int_equal(write(*lun, 0, before).status, good);
  assert_true(shell("rbd snap create rbd/snap@monday"));
  assert_int_equal(write(*lun, 0, after).status, good);
  const auto snapshot = open_lun(config("rbd/snap@monday"));
  assert_non_null(snapshot.get());
  assert_true(read(*snapshot, 0, mib) == before);
  const Answer refused = write(*snapshot, 0, after);
  assert_int_equal(refused.status, check_condition);
  assert_int_equal(refused.sense_key(), 0x7);
  assert_true(read(*lun, 0, mib) == after);
}

void an_encrypted_image_is_decrypted(void**) {
  const std::string passphrase = std::string{std::getenv("BALLAST_CEPH")} + "/passphrase";
  std::ofstream{passphrase} << "correct horse\n";
  make_image("rbd/secret", 96);
  assert_true(shell("bash -c 'printf \"correct horse\" > " + passphrase +
                    ".bare && rbd encryption format rbd/secret luks2 " + passphrase + ".bare'"));
  const std::string keys = ";encryption=luks2;passphrase_file=";
  std::vector<std::byte> data = bytes_of(mib, 3);
  {
    const auto lun = open_lun(config("rbd/secret", keys + passphrase), sized(80));
    assert_non_null(lun.get());
    assert_int_equal(write(*lun, 8, data).status, good);
    assert_true(read(*lun, 8, mib) == data);
    assert_int_equal(lun->reconfigure_size(128 * mib), 0);
    assert_int_equal(lun->execute(test_unit_ready()).status, check_condition);
    assert_int_equal(write(*lun, (128 * mib - mib) / 512, data).status, good);
  }
  // Trying a passphrase takes seconds, so the LUN may be refused only after it is there.
  (void)take_log();
  const auto locked = Lun::add(config("rbd/secret", keys + "/etc/hostname"), sized(80));
  std::string log;
  assert_true(eventually([&] {
    log += take_log();
    return log.find("does not open the image") != std::string::npos;
  }));
}

void a_lun_is_resized_both_ways(void**) {
  make_image("rbd/size");
  const auto lun = open_lun(config("rbd/size"));
  std::vector<std::byte> data = bytes_of(mib, 4);
  assert_int_equal(write(*lun, 0, data).status, good);
  assert_int_equal(lun->reconfigure_size(128 * mib), 0);
  assert_int_equal(lun->execute(test_unit_ready()).status, check_condition);
  assert_int_equal(write(*lun, (127 * mib) / 512, data).status, good);
  assert_int_equal(lun->reconfigure_size(32 * mib), 0);
  assert_int_equal(lun->execute(test_unit_ready()).status, check_condition);
  assert_int_equal(write(*lun, (127 * mib) / 512, data).status, check_condition);
  assert_true(read(*lun, 0, mib) == data);
}

void an_image_that_was_made_larger_is_used_when_the_lun_is_told(void**) {
  make_image("rbd/grown");
  const auto lun = open_lun(config("rbd/grown"));
  assert_non_null(lun.get());
  std::vector<std::byte> data = bytes_of(mib, 5);
  assert_int_equal(write(*lun, 0, data).status, good);
  assert_true(shell("rbd resize rbd/grown --size 128M --no-progress"));
  assert_true(is_said("the image has 134217728 bytes now, and the LUN 67108864"));
  assert_int_equal(write(*lun, (96 * mib) / 512, data).status, check_condition);
  assert_int_equal(lun->reconfigure_size(128 * mib), 0);
  assert_int_equal(lun->execute(test_unit_ready()).status, check_condition);
  assert_int_equal(write(*lun, (96 * mib) / 512, data).status, good);
}

void an_image_that_changes_before_its_first_command_is_noticed(void**) {
  make_image("rbd/unused");
  const auto lun = open_lun(config("rbd/unused"));
  assert_non_null(lun.get());
  assert_true(shell("rbd resize rbd/unused --size 128M --no-progress"));
  (void)read(*lun, 0, mib);
  assert_true(is_said("the image has 134217728 bytes now, and the LUN 67108864"));
}

void an_image_that_was_made_smaller_ends_there(void**) {
  make_image("rbd/shrunk");
  const auto lun = open_lun(config("rbd/shrunk"));
  std::vector<std::byte> data = bytes_of(mib, 5);
  assert_int_equal(write(*lun, 0, data).status, good);
  assert_true(shell("rbd resize rbd/shrunk --size 32M --allow-shrink --no-progress"));
  assert_true(is_said("the image was made smaller: it has 33554432 bytes, and the LUN 67108864"));
  assert_true(eventually([&] {
    const Answer answer = write(*lun, (48 * mib) / 512, data);
    return answer.status == check_condition && answer.additional_sense() == 0x2100;
  }));
  assert_int_equal(write(*lun, 0, data).status, good);
}

// An OSD with this much data counts as full.
void set_full_ratio(const char* ratio) {
  for (const char* which : {"full", "backfillfull", "nearfull"}) {
    assert_true(shell("ceph osd set-" + std::string{which} + "-ratio " + ratio));
  }
}

void a_full_pool_is_an_error_and_no_freeze(void**) {
  make_image("rbd/full", 256);
  const auto lun = open_lun(config("rbd/full"), sized(256));
  assert_non_null(lun.get());
  std::vector<std::byte> data = bytes_of(mib, 6);
  assert_int_equal(write(*lun, 0, data).status, good);
  set_full_ratio("0.0001");
  Answer last = write(*lun, mib / 512, data);
  for (std::size_t i = 2; last.status == good && i < 256; ++i) {
    std::this_thread::sleep_for(100ms);
    last = write(*lun, i * (mib / 512), data);
  }
  set_full_ratio("0.95");
  assert_no_room(last);
  assert_true(read(*lun, 0, mib) == data);
}

// --- what hangs

// The storage of the other LUN is a file: it must not notice.
void an_osd_that_stands_still_costs_no_data_and_no_other_lun(void**) {
  make_image("rbd/freeze");
  const auto lun = open_lun(config("rbd/freeze", quick));
  const Folder folder{"/dev/shm"};
  const auto sibling = open_lun("file=" + folder.file("vol.raw") + ";cache=buffered");
  assert_non_null(lun.get());
  assert_non_null(sibling.get());
  assert_true(eventually([&] { return sibling->execute(test_unit_ready()).status == good; }));
  std::vector<std::vector<std::byte>> wanted;
  for (unsigned i = 0; i < 32; ++i) {
    wanted.push_back(bytes_of(16384, 10 + i));
  }
  std::vector<bool> done(wanted.size());
  std::size_t refused = 0;
  auto longest = 0ns;
  const Standstill standstill;
  const auto try_all = [&] {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const Answer answer = done[i] ? Answer{.status = good, .sense = {}, .transferred = 0}
                                    : write(*lun, i * 64, wanted[i]);
      assert_true(answer.status == good || answer.status == busy);
      done[i] = answer.status == good;
      refused += answer.status == busy ? 1 : 0;
      const auto begun = Clock::now();
      assert_int_equal(write(*sibling, i * 64, wanted[i]).status, good);
      longest = std::max<std::chrono::nanoseconds>(longest, Clock::now() - begun);
    }
  };
  {
    const Frozen osd{"osd.0"};
    const auto until = Clock::now() + 6s;
    while (Clock::now() < until) {
      try_all();
    }
  }
  const auto thawed = Clock::now();
  while (std::find(done.begin(), done.end(), false) != done.end()) {
    try_all();
  }
  print_message("last write %.0f ms after the thaw; sibling's longest answer %.1f ms\n",
                std::chrono::duration<double, std::milli>(Clock::now() - thawed).count(),
                std::chrono::duration<double, std::milli>(longest).count());
  assert_true(refused > 0);
  assert_true(Clock::now() - thawed < 20s);
  assert_true(longest < 3s + standstill.longest());  // the freeze takes twice as long
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    assert_true(read(*lun, i * 64, wanted[i].size()) == wanted[i]);
  }
}

// The sockets on which librados answers this process.
std::size_t admin_sockets() {
  std::string list;
  assert_true(shell(
      "bash -c 'ls /run/ballast | grep -c ^" + std::to_string(::getpid()) + "[.] || true'", &list));
  return std::strtoul(list.c_str(), nullptr, 10);
}

void a_slow_request_names_the_osd_that_it_waits_for(void**) {
  make_image("rbd/slow");
  std::vector<std::byte> data = bytes_of(16384, 9);
  // A client of an earlier LUN may need a while to end.
  assert_true(eventually([] { return admin_sockets() == 0; }));
  auto lun = open_lun(config("rbd/slow", ";deadline=6s;slow=2s;stall_after=5s"));
  assert_non_null(lun.get());
  assert_int_equal(write(*lun, 0, data).status, good);
  assert_int_equal(admin_sockets(), 1);
  std::string mode;
  assert_true(shell("stat -c %a /run/ballast", &mode));
  assert_string_equal(mode.c_str(), "700\n");
  (void)take_log();
  {
    const Frozen osd{"osd.0"};
    // If the client did not tell in time, it is asked again ten seconds later.
    std::string log;
    for (int i = 0; i < 4 && log.find("slow: the storage's client waits for osd.0, object "
                                      "rbd_data.") == std::string::npos;
         ++i) {
      assert_int_equal(write(*lun, 0, data).status, busy);
      log += take_log();
    }
    if (log.find("slow: the storage's client waits for osd.0, object rbd_data.") ==
        std::string::npos) {
      print_error("%s\n", log.c_str());
      assert_true(false);
    }
  }
  assert_true(eventually([&] { return write(*lun, 0, data).status == good; }));
  assert_true(lun->remove());
  lun.reset();
  assert_true(eventually([] { return admin_sockets() == 0; }));
}

void a_lun_that_hangs_is_closed_and_keeps_its_image_until_the_osd_answers(void**) {
  make_image("rbd/orphan");
  std::vector<std::byte> data = bytes_of(16384, 7);
  auto lun = open_lun(config("rbd/orphan", quick));
  {
    const Frozen osd{"osd.0"};
    assert_int_equal(write(*lun, 0, data).status, busy);
    const auto begun = Clock::now();
    assert_true(lun->remove());
    assert_true(Clock::now() - begun < 30s);
  }
  lun.reset();
  std::unique_ptr<Lun> again;
  // One that comes before the image is free may be refused for good.
  assert_true(eventually([&] {
    if (again == nullptr || again->execute(test_unit_ready()).refused_for_good()) {
      again.reset();
      again = Lun::add(config("rbd/orphan"));
    }
    return again != nullptr && again->execute(test_unit_ready()).status == good;
  }));
  assert_true(read(*again, 0, data.size()) == data);
}

// --- who owns it

void a_live_owner_keeps_its_image(void**) {
  make_image("rbd/owned");
  Process owner{{"own", config("rbd/owned")}};
  assert_string_equal(owner.line().c_str(), "open");
  expect_refused(config("rbd/owned"), {"is in use by process"});
  make_image("rbd/mine");
  const auto lun = open_lun(config("rbd/mine"));
  assert_non_null(lun.get());
  expect_refused(config("rbd/mine"), {"is in use by another LUN of this daemon"});
}

void an_owner_that_was_killed_is_taken_over_at_once(void**) {
  make_image("rbd/killed");
  {
    Process owner{{"own", config("rbd/killed")}};
    assert_string_equal(owner.line().c_str(), "open");
    owner.kill();
  }
  const auto begun = Clock::now();
  const auto lun = open_lun(config("rbd/killed"));
  assert_non_null(lun.get());
  std::vector<std::byte> data = bytes_of(mib, 8);
  assert_int_equal(write(*lun, 0, data).status, good);
  print_message("first write %.0f ms after the kill\n",
                std::chrono::duration<double, std::milli>(Clock::now() - begun).count());
  assert_true(Clock::now() - begun < 15s);  // waiting for the owner's watch to end takes 28 s
}

// The library's threads would use objects that the end of the process has destroyed.
void a_daemon_that_ends_while_an_image_hangs_ends_in_order(void**) {
  make_image("rbd/end");
  for (const char* goes_on : {"before", "after", "before"}) {
    Process daemon{{"end", config("rbd/end", quick), goes_on}};
    assert_int_equal(daemon.exit_status(), 7);
    (void)::kill(ballast::rbd_test::daemon("osd.0"), SIGCONT);
  }
}

void a_daemon_may_end_while_an_image_is_opened(void**) {
  make_image("rbd/leave");
  std::mt19937_64 random{seed()};
  for (int i = 0; i < 20; ++i) {
    Process daemon{{"leave", config("rbd/leave", quick), std::to_string(random() % 40'000)}};
    assert_int_equal(daemon.exit_status(), 7);
  }
}

// Plays a daemon that ends while it opens its second LUN.
int leave(const std::string& string, std::chrono::microseconds later) {
  if (open_lun(string) == nullptr) {
    return 1;
  }
  std::thread{[&string] {
    const auto lun = Lun::add(string);
    for (;;) {
      std::this_thread::sleep_for(1h);
    }
  }}.detach();
  std::this_thread::sleep_for(later);
  return 7;
}

// Plays a daemon that ends while its LUN hangs. The storage goes on just before that, or after.
int end(const std::string& string, bool before) {
  auto lun = Lun::add(string);
  if (lun == nullptr ||
      !eventually([&] { return !lun->execute(test_unit_ready()).becoming_ready(); })) {
    return 1;
  }
  std::vector<std::byte> data = bytes_of(16384, 7);
  const pid_t osd = ballast::rbd_test::daemon("osd.0");
  ballast::rbd_test::stop(osd);
  if (write(*lun, 0, data).status != busy) {
    return 2;
  }
  lun.reset();
  if (before) {
    (void)::kill(osd, SIGCONT);
  }
  return 7;
}

}  // namespace

int main(int argc, char** argv) {
  require_cluster();
  load_built_plugin();
  if (argc == 3 && std::strcmp(argv[1], "own") == 0) {
    own_until_killed(argv[2]);
  }
  if (argc == 4 && std::strcmp(argv[1], "end") == 0) {
    return end(argv[2], std::strcmp(argv[3], "before") == 0);
  }
  if (argc == 4 && std::strcmp(argv[1], "leave") == 0) {
    return leave(argv[2], std::chrono::microseconds{std::atol(argv[3])});
  }
  const CMUnitTest tests[] = {
      cmocka_unit_test(each_thing_that_is_wrong_has_its_sentence),
      cmocka_unit_test(metadata_that_overrides_a_setting_is_refused),
      cmocka_unit_test(an_image_without_the_lock_needs_a_word),
      cmocka_unit_test(an_image_that_is_old_without_its_log_is_refused),
      cmocka_unit_test(an_image_can_do_without_a_log_that_is_lost),
      cmocka_unit_test(a_damaged_label_of_an_image_is_written_anew_from_its_log),
      cmocka_unit_test(a_key_that_does_not_fit_is_refused),
      cmocka_unit_test(an_unreachable_cluster_is_waited_for),
      cmocka_unit_test(many_commands_at_once_keep_their_data),
      cmocka_unit_test(names_with_any_character_are_found),
      cmocka_unit_test(a_namespace_is_a_place_of_its_own),
      cmocka_unit_test(a_snapshot_is_read_only),
      cmocka_unit_test(an_encrypted_image_is_decrypted),
      cmocka_unit_test(a_lun_is_resized_both_ways),
      cmocka_unit_test(an_image_that_changes_before_its_first_command_is_noticed),
      cmocka_unit_test(an_image_that_was_made_larger_is_used_when_the_lun_is_told),
      cmocka_unit_test(an_image_that_was_made_smaller_ends_there),
      cmocka_unit_test(an_osd_that_stands_still_costs_no_data_and_no_other_lun),
      cmocka_unit_test(a_slow_request_names_the_osd_that_it_waits_for),
      cmocka_unit_test(a_lun_that_hangs_is_closed_and_keeps_its_image_until_the_osd_answers),
      cmocka_unit_test(a_live_owner_keeps_its_image),
      cmocka_unit_test(an_owner_that_was_killed_is_taken_over_at_once),
      cmocka_unit_test(a_daemon_that_ends_while_an_image_hangs_ends_in_order),
      cmocka_unit_test(a_daemon_may_end_while_an_image_is_opened),
      cmocka_unit_test(a_full_pool_is_an_error_and_no_freeze),
  };
  return cmocka_run_group_tests_name("rbd", tests, nullptr, nullptr);
}
