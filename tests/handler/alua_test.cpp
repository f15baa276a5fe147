// SPDX-License-Identifier: Apache-2.0
// Target port groups in a folder like configfs: which are taken, and what is said of the others.
#include "handler/alua.h"

#include <fcntl.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "lib/base/unique_fd.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::handler;

namespace {

constexpr const char* target = "iqn.2003-01.org.example:disks";

class Tree {
 public:
  Tree() {
    char path[] = "/tmp/ballast-alua-XXXXXX";
    assert_non_null(::mkdtemp(path));
    root_ = path;
    std::filesystem::create_directories(root_ + "/alua/default_tg_pt_gp");
    write("/alua/default_tg_pt_gp/tg_pt_gp_id", "0\n");
  }
  ~Tree() { std::filesystem::remove_all(root_); }

  void tpg(const std::string& name, int tag, bool enabled, const std::string& fabric = "iscsi") {
    write("/" + fabric + "/" + name + "/tpgt_" + std::to_string(tag) + "/enable",
          enabled ? "1\n" : "0\n");
  }
  void group(const std::string& name, int id, const std::string& members) {
    group(name, std::to_string(id) + "\n", members);
  }
  void group(const std::string& name, const std::string& id, const std::string& members) {
    write("/alua/" + name + "/tg_pt_gp_id", id);
    write("/alua/" + name + "/members", members);
  }
  GroupReading read() const {
    const UniqueFd folder{::open((root_ + "/alua").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    return read_groups(folder.get(), root_);
  }

 private:
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path{root_ + path}.parent_path());
    std::ofstream{root_ + path} << text;
  }
  std::string root_;
};

std::string member(const std::string& iqn, int tag) {
  return "iSCSI/" + iqn + "/tpgt_" + std::to_string(tag) + "/lun_0\n";
}

// The first gateway, of two.
void make_gateways(Tree& tree) {
  tree.tpg(target, 1, true);
  tree.tpg(target, 2, false);
  tree.group("gw2", 20, member(target, 2));
  tree.group("gw1", 10, member(target, 1));
}

void expect_problem(const Tree& tree, const char* words) {
  const GroupReading reading = tree.read();
  if (reading.problem.find(words) == std::string::npos) {
    print_error("%s\n", reading.problem.c_str());
    assert_true(false);
  }
  assert_true(reading.groups.empty());
}

void the_enabled_port_says_which_group_is_ours(void**) {
  Tree tree;
  make_gateways(tree);
  const GroupReading reading = tree.read();
  assert_string_equal(reading.problem.c_str(), "");
  const scsi::TargetPortGroups wanted{
      .all = {{.id = 10, .ports = {1}}, {.id = 20, .ports = {2}}}, .own_group = 10, .own_port = 1};
  assert_true(reading.groups == wanted);
}

void a_group_without_a_port_is_left_out(void**) {
  Tree tree;
  make_gateways(tree);
  tree.group("gw3", 30, "");
  assert_int_equal(tree.read().groups.all.size(), 2);
}

void a_lun_in_no_group_has_none(void**) {
  const Tree tree;
  expect_problem(tree, "it is in no target port group");
}

void exactly_one_tpg_is_enabled(void**) {
  Tree tree;
  make_gateways(tree);
  tree.tpg(target, 1, false);
  expect_problem(tree, "0 of its TPGs are enabled here; one must be");
  tree.tpg(target, 1, true);
  tree.tpg(target, 2, true);
  expect_problem(tree, "2 of its TPGs are enabled here; one must be");
}

void each_port_has_a_tag_of_its_own(void**) {
  Tree tree;
  make_gateways(tree);
  tree.group("gw3", 30, member("iqn.2003-01.org.example:more", 1));
  expect_problem(tree, "two of its TPGs have the tag 1");
}

void there_is_a_limit(void**) {
  Tree tree;
  tree.tpg(target, 1, true);
  for (int i = 1; i <= 9; ++i) {
    tree.group("gw" + std::to_string(i), i, member(target, i));
  }
  expect_problem(tree, "it is in 9 target port groups, and 8 are possible");
  for (int i = 10; i <= 70; ++i) {
    tree.group("gw" + std::to_string(i), i, member(target, i));
  }
  expect_problem(tree, "it is in 64 target port groups");  // no more are looked at
  Tree ports;
  ports.tpg(target, 1, true);
  std::string members;
  for (int i = 1; i <= 9; ++i) {
    members += member(target, i);
  }
  ports.group("gw1", 1, members);
  expect_problem(ports, "more than 8 TPGs are in its group 1");
}

void the_first_of_two_mistakes_is_told(void**) {
  Tree tree;
  make_gateways(tree);
  tree.tpg("iqn.2003-01.org.example:more", 1, true);
  tree.group("gw3", 30, member("iqn.2003-01.org.example:more", 1));
  expect_problem(tree, "two of its TPGs have the tag 1");
}

void ports_of_other_fabrics_count_too(void**) {
  Tree tree;
  tree.tpg("naa.5001405000000001", 1, true, "loopback");
  tree.group("gw1", 10, "loopback/naa.5001405000000001/tpgt_1/lun_0\n");
  const GroupReading reading = tree.read();
  assert_string_equal(reading.problem.c_str(), "");
  assert_int_equal(reading.groups.own_port, 1);
}

void a_list_of_members_without_an_end_is_cut(void**) {
  Tree tree;
  make_gateways(tree);
  std::string members;
  while (members.size() < 100'000) {
    members += "nonsense\n";
  }
  tree.group("gw3", 30, members + member(target, 3));
  assert_int_equal(tree.read().groups.all.size(), 2);
}

void the_last_member_may_lack_its_newline(void**) {
  Tree tree;
  make_gateways(tree);
  std::string members = member(target, 2);
  members.pop_back();
  tree.group("gw2", 20, members);
  assert_int_equal(tree.read().groups.all.size(), 2);
}

void a_folder_that_is_not_there_has_no_groups(void**) {
  const GroupReading reading = read_groups(-1, "/nowhere");
  assert_true(reading.groups.empty());
  assert_true(reading.problem.find("it is in no target port group") != std::string::npos);
}

void nonsense_is_passed_over(void**) {
  Tree tree;
  make_gateways(tree);
  tree.group("nameless", "none\n", member(target, 8));
  tree.group("odd", 30, "nonsense\n/tpgt_\n/tpgt_x/lun_0\n/tpgt_99999999/lun_0\n");
  tree.group("zero", 0, member(target, 7));
  assert_int_equal(tree.read().groups.all.size(), 2);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_enabled_port_says_which_group_is_ours),
      cmocka_unit_test(a_group_without_a_port_is_left_out),
      cmocka_unit_test(a_lun_in_no_group_has_none),
      cmocka_unit_test(exactly_one_tpg_is_enabled),
      cmocka_unit_test(each_port_has_a_tag_of_its_own),
      cmocka_unit_test(there_is_a_limit),
      cmocka_unit_test(the_first_of_two_mistakes_is_told),
      cmocka_unit_test(ports_of_other_fabrics_count_too),
      cmocka_unit_test(a_list_of_members_without_an_end_is_cut),
      cmocka_unit_test(the_last_member_may_lack_its_newline),
      cmocka_unit_test(a_folder_that_is_not_there_has_no_groups),
      cmocka_unit_test(nonsense_is_passed_over),
  };
  return cmocka_run_group_tests_name("alua", tests, nullptr, nullptr);
}
