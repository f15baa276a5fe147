// SPDX-License-Identifier: Apache-2.0
// The built plugin with keyrings that cannot be used and cephx users that may do little: what the
// operator is told, and what is served.
#include <sys/stat.h>
#include <unistd.h>

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

namespace {

std::string in_cluster(const char* name) {
  return std::string{std::getenv("BALLAST_CEPH")} + "/" + name;
}

// The cluster's configuration with another keyring. Returns its path.
std::string conf_with(const std::string& keyring) {
  static int made = 0;
  const std::string path = in_cluster("rights") + std::to_string(++made) + ".conf";
  assert_true(shell("bash -c 'sed \"s,^keyring = .*/keyring$,keyring = " + keyring +
                    ",\" $CEPH_CONF > " + path + "'"));
  return path;
}

// Makes the user `name` with these rights. Returns a configuration that knows its key.
std::string conf_of_user(const std::string& name, const std::string& caps) {
  const std::string keyring = in_cluster(name.c_str()) + ".keyring";
  assert_true(shell("ceph auth get-or-create client." + name + " " + caps + " -o " + keyring));
  return conf_with(keyring);
}

std::string as_user(const std::string& image, const std::string& name, const std::string& caps) {
  return "rbd=" + image + ";id=" + name + ";conf=" + conf_of_user(name, caps);
}

// --- keyrings

void a_keyring_that_cannot_be_used_is_named(void**) {
  make_image("rbd/keyring");
  const auto with = [](const std::string& keyring) {
    return "rbd=rbd/keyring;conf=" + conf_with(keyring);
  };
  expect_refused(with("/nonexistent/keyring"), {"/nonexistent/keyring", "client.admin"});
  expect_refused(with("/tmp"), {"/tmp"});
  const std::string rubbish = in_cluster("rubbish.keyring");
  std::ofstream{rubbish} << "[client.admin]\n\tkey = rubbish\n";
  expect_refused(with(rubbish), {"rubbish.keyring"});
  const std::string other = in_cluster("other.keyring");
  assert_true(shell("ceph-authtool --create-keyring " + other + " --gen-key -n client.other"));
  expect_refused(with(other), {"other.keyring", "client.admin"});
}

// --- rights

void a_user_who_may_only_read_makes_no_lun(void**) {
  make_image("rbd/readonly");
  expect_refused(as_user("rbd/readonly", "reader",
                         "mon \"profile rbd-read-only\" osd \"profile rbd-read-only pool=rbd\""),
                 {"profile rbd"});
}

void a_user_of_another_pool_is_told_which_rights_it_needs(void**) {
  make_image("rbd/elsewhere");
  assert_true(shell("ceph osd pool create theirs 8"));
  expect_refused(
      as_user("rbd/elsewhere", "stranger", "mon \"profile rbd\" osd \"profile rbd pool=theirs\""),
      {"client.stranger may not use the image", "profile rbd pool=rbd"});
  // Without any right at an OSD the library of Ceph 18 would ask for ever.
  expect_refused(as_user("rbd/elsewhere", "nobody", "mon \"allow r\" osd \"allow r pool=theirs\""),
                 {"client.nobody may not use the image"});
}

// It serves an image that nobody has, and cannot take one over from an owner that was killed.
void a_user_who_may_not_blocklist_takes_nothing_over(void**) {
  make_image("rbd/meek");
  const std::string meek =
      as_user("rbd/meek", "meek", "mon \"allow r\" osd \"profile rbd pool=rbd\"");
  {
    const auto lun = Lun::add(meek, sized(64));
    assert_non_null(lun.get());
    assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
    std::vector<std::byte> data = bytes_of(mib, 1);
    assert_int_equal(write(*lun, 0, data).status, good);
    assert_true(lun->remove());
  }
  {
    Process owner{{"own", config("rbd/meek")}};
    assert_string_equal(owner.line().c_str(), "open");
    owner.kill();
  }
  expect_refused(meek, {"cannot be fenced: Permission denied", "mon \"profile rbd\""});
}

}  // namespace

int main(int argc, char** argv) {
  require_cluster();
  load_built_plugin();
  if (argc == 3 && std::strcmp(argv[1], "own") == 0) {
    own_until_killed(argv[2]);
  }
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_keyring_that_cannot_be_used_is_named),
      cmocka_unit_test(a_user_who_may_only_read_makes_no_lun),
      cmocka_unit_test(a_user_of_another_pool_is_told_which_rights_it_needs),
      cmocka_unit_test(a_user_who_may_not_blocklist_takes_nothing_over),
  };
  return cmocka_run_group_tests_name("rights", tests, nullptr, nullptr);
}
